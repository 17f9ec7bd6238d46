"""Who may have an agent work on which text."""

from datetime import timedelta

import pytest

from claude_flow.model.issue import Issue, IssueRef
from claude_flow.model.run import Reason, Trigger, TriggerKind
from claude_flow.ports import Refusal
from claude_flow.testing.clock import FakeClock
from claude_flow.testing.fake_github import FakeGitHub
from claude_flow.triggers.trust import TrustGate, suffices

LABEL = "ready-for-implementation"
ROLES = ["none", "read", "triage", "write", "maintain", "admin"]


class Scene:
    """An issue by a stranger, in a repository of maria's."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.github = FakeGitHub(self.clock)
        self.people = self.github.state
        self.people.add_repository("acme/widgets", permissions={"maria": "write", "tina": "triage"})
        self.ref: IssueRef = self.people.open_issue("acme/widgets", "Title", "Body", "stranger")
        self.minimum = "write"
        self.gate = TrustGate(self.github, minimum_permission=lambda: self.minimum)

    def labelled(self, actor: str) -> Trigger:
        self.clock.advance(60)
        self.people.label_issue(self.ref, LABEL, actor)
        event = self.github.label_events(self.ref, LABEL)[-1]
        return Trigger(TriggerKind.LABEL, str(event.id), event.actor, event.created_at)

    def edited(self, editor: str | None, **texts: str) -> None:
        self.clock.advance(60)
        self.people.edit_issue(self.ref, editor=editor, **texts)

    def verdict(self, trigger: Trigger) -> Reason | None:
        found = self.gate.admit(self.ref, trigger)
        return found.reason if isinstance(found, Refusal) else None


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("permission", [*ROLES, "custom-role", ""])
@pytest.mark.parametrize("minimum", ROLES)
def test_roles_are_ordered_and_unknown_ones_worth_nothing(permission: str, minimum: str) -> None:
    is_known = permission in ROLES
    expected = is_known and ROLES.index(permission) >= ROLES.index(minimum)
    assert suffices(permission, minimum) == expected


def test_a_strangers_issue_vouched_for_is_admitted(scene: Scene) -> None:
    scene.edited("stranger", body="Better body")
    found = scene.gate.admit(scene.ref, scene.labelled("maria"))
    assert isinstance(found, Issue)
    assert found.body == "Better body"


@pytest.mark.parametrize("actor", ["tina", "stranger"])
def test_who_may_not_write_cannot_ask(scene: Scene, actor: str) -> None:
    found = scene.gate.admit(scene.ref, scene.labelled(actor))
    assert isinstance(found, Refusal)
    assert found.reason is Reason.UNTRUSTED
    assert f"`{actor}` asked for this run" in found.why
    assert "`write`" in found.why


def test_the_minimum_is_the_operators_choice(scene: Scene) -> None:
    trigger = scene.labelled("tina")
    scene.minimum = "triage"
    assert scene.verdict(trigger) is None
    scene.minimum = "admin"
    assert scene.verdict(trigger) is Reason.UNTRUSTED


@pytest.mark.parametrize("texts", [{"title": "Other"}, {"body": "Other"}])
def test_a_text_changed_after_the_label_by_a_stranger_is_refused(
    scene: Scene, texts: dict[str, str]
) -> None:
    trigger = scene.labelled("maria")
    scene.edited("stranger", **texts)
    assert scene.verdict(trigger) is Reason.UNTRUSTED


@pytest.mark.parametrize("texts", [{"title": "Other"}, {"body": "Other"}])
def test_a_stranger_is_not_covered_by_a_later_edit(scene: Scene, texts: dict[str, str]) -> None:
    trigger = scene.labelled("maria")
    scene.edited("stranger", **texts)
    scene.edited("maria", body="Third")
    assert scene.verdict(trigger) is Reason.UNTRUSTED
    scene.people.unlabel_issue(scene.ref, LABEL)
    assert scene.verdict(scene.labelled("maria")) is None


def test_a_maintainer_may_change_the_text(scene: Scene) -> None:
    trigger = scene.labelled("maria")
    scene.edited("maria", title="Clearer", body="Clearer")
    assert scene.verdict(trigger) is None


def test_the_second_of_the_label_counts_as_later(scene: Scene) -> None:
    trigger = scene.labelled("maria")
    scene.people.edit_issue(scene.ref, body="Quick", editor="stranger")
    assert scene.verdict(trigger) is Reason.UNTRUSTED


def test_a_maintainer_who_lost_the_right_vouches_for_nothing(scene: Scene) -> None:
    trigger = scene.labelled("maria")
    scene.people.set_permission("acme/widgets", "maria", "read")
    assert scene.verdict(trigger) is Reason.UNTRUSTED


def test_deleted_accounts_vouch_for_nothing(scene: Scene) -> None:
    scene.labelled("maria")
    scene.people.delete_account("maria")
    event = scene.github.label_events(scene.ref, LABEL)[-1]
    trigger = Trigger(TriggerKind.LABEL, str(event.id), event.actor, event.created_at)
    found = scene.gate.admit(scene.ref, trigger)
    assert isinstance(found, Refusal)
    assert "A deleted account" in found.why


def test_an_operator_answers_for_the_text_as_it_is(scene: Scene) -> None:
    scene.edited("stranger", body="Whatever")
    assert scene.verdict(Trigger(TriggerKind.CLI, "key", None, scene.clock())) is None


def test_a_closed_issue_and_a_pull_request_are_refused(scene: Scene) -> None:
    trigger = scene.labelled("maria")
    scene.people.close_issue(scene.ref)
    assert scene.verdict(trigger) is Reason.ISSUE_CLOSED


def test_a_trigger_without_a_moment_is_refused(scene: Scene) -> None:
    trigger = Trigger(TriggerKind.LABEL, "1", "maria", None)
    assert scene.verdict(trigger) is Reason.UNTRUSTED
    late = Trigger(TriggerKind.LABEL, "1", "maria", scene.clock() + timedelta(seconds=1))
    assert scene.verdict(late) is None


def test_comments_are_trusted_by_their_authors_permission(scene: Scene) -> None:
    for author in ("maria", "tina", "stranger"):
        scene.people.comment(scene.ref, f"by {author}", author)
    scene.people.comment(scene.ref, "<!-- claude-flow:status --> by maria", "maria")
    assert [one.body for one in scene.gate.trusted_comments(scene.ref)] == ["by maria"]
    scene.minimum = "triage"
    found = scene.gate.trusted_comments(scene.ref)
    assert [one.body for one in found] == ["by maria", "by tina"]


def test_where_others_may_edit_a_comment_an_edited_one_is_not_trusted(scene: Scene) -> None:
    scene.people.set_permission("acme/widgets", "maria", "admin")
    scene.people.comment(scene.ref, "as it was", "maria")
    scene.people.comment(scene.ref, "as it is now", "maria")
    _, issue = scene.people.issue(scene.ref)
    issue.comments[-1].updated_at += timedelta(seconds=5)
    assert len(scene.gate.trusted_comments(scene.ref)) == 2
    scene.minimum = "admin"
    assert [one.body for one in scene.gate.trusted_comments(scene.ref)] == ["as it was"]
