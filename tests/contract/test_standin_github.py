"""The real client against the stand-in, and the fake: one GitHub to whoever uses the port."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from claude_flow.errors import (
    ForbiddenError,
    NotFoundError,
    RejectedError,
    TokenRefusedError,
)
from claude_flow.github import ApiSession, GitHubClient
from claude_flow.model.issue import IssueRef, Repository
from claude_flow.ports import GitHub
from claude_flow.testing.checked_world import checked_world
from claude_flow.testing.clock import FakeClock
from claude_flow.testing.fake_github import FakeGitHub
from claude_flow.testing.github_state import SERVICE_LOGIN, GitHubState

WIDGETS = Repository("octo", "widgets")
LABEL = "ready-for-implementation"
BRANCH = "claude-flow/issue-1"


@dataclass
class Case:
    port: GitHub
    people: GitHubState
    clock: FakeClock
    token: str


@pytest.fixture(params=["client", "fake"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    clock = FakeClock()
    if request.param == "fake":
        fake = FakeGitHub(clock)
        yield _furnished(Case(fake, fake.state, clock, fake.token))
        return
    with checked_world(tmp_path, clock=clock) as world:
        session = ApiSession(
            world.api_url, lambda: world.token, clock=clock, monotonic=time.monotonic
        )
        yield _furnished(Case(GitHubClient(session), world.github, clock, world.token))


def _furnished(case: Case) -> Case:
    case.people.add_repository(
        WIDGETS, permissions={"alice": "write", "tina": "triage", "mona": "maintain"}
    )
    return case


def _issue(case: Case, title: str = "Title", body: str = "Body") -> IssueRef:
    return case.people.open_issue(WIDGETS, title, body, "alice")


def test_a_repository_has_a_default_branch(case: Case) -> None:
    info = case.port.repository(WIDGETS)
    assert (info.repository, info.default_branch, info.is_archived) == (WIDGETS, "main", False)


def test_a_missing_repository_is_not_found(case: Case) -> None:
    with pytest.raises(NotFoundError):
        case.port.repository(Repository("octo", "gadgets"))


def test_a_private_repository_of_others_is_not_found(case: Case) -> None:
    secret = case.people.add_repository(
        "octo/secret", private=True, permissions={SERVICE_LOGIN: "none"}
    )
    with pytest.raises(NotFoundError):
        case.port.repository(secret)


def test_a_renamed_repository_tells_its_present_name(case: Case) -> None:
    case.people.rename_repository(WIDGETS, "gadgets")
    assert case.port.repository(WIDGETS).repository == Repository("octo", "gadgets")


def test_changes_follow_a_renamed_repository(case: Case) -> None:
    ref = _issue(case)
    case.people.rename_repository(WIDGETS, "gadgets")
    case.port.add_label(ref, LABEL)
    case.port.upsert_comment(ref, marker="<!-- m -->", body="<!-- m --> one")
    case.port.upsert_comment(ref, marker="<!-- m -->", body="<!-- m --> two")
    assert case.people.labels("octo/gadgets#1") == {LABEL}
    assert [one.body for one in case.people.comments(ref)] == ["<!-- m --> two"]


def test_lists_open_issues_with_the_label_oldest_first(case: Case) -> None:
    refs = [_issue(case, f"Issue {number}") for number in range(1, 6)]
    for ref in reversed(refs[:4]):
        case.clock.advance(60)
        case.people.label_issue(ref, LABEL, "alice")
    case.people.close_issue(refs[2])
    case.people.label_issue(refs[4], "other", "alice")
    found = case.port.labelled_issues(WIDGETS, LABEL)
    assert [issue.ref for issue in found] == [refs[0], refs[1], refs[3]]
    assert found[0].labels == {LABEL}
    assert found[0].author == "alice"


def test_lists_what_changed_since_the_last_time(case: Case) -> None:
    first, second = _issue(case), _issue(case)
    case.people.label_issue(first, LABEL, "alice")
    assert len(case.port.labelled_issues(WIDGETS, LABEL)) == 1
    assert len(case.port.labelled_issues(WIDGETS, LABEL)) == 1
    case.people.label_issue(second, LABEL, "alice")
    assert [one.ref for one in case.port.labelled_issues(WIDGETS, LABEL)] == [first, second]
    case.people.unlabel_issue(first, LABEL)
    assert [one.ref for one in case.port.labelled_issues(WIDGETS, LABEL)] == [second]


def test_lists_more_issues_than_one_page_holds(case: Case) -> None:
    for number in range(103):
        case.people.label_issue(_issue(case, f"Issue {number}"), LABEL, "alice")
    found = case.port.labelled_issues(WIDGETS, LABEL)
    assert [issue.ref.number for issue in found] == list(range(1, 104))


def test_a_pull_request_is_no_issue(case: Case) -> None:
    case.people.commit(WIDGETS, BRANCH, {"a.py": "x = 1\n"})
    pull = case.port.open_pull_request(
        WIDGETS, head=BRANCH, base="main", title="T", body="B", draft=False
    )
    ref = IssueRef(WIDGETS, pull.number)
    case.people.label_issue(ref, LABEL, "alice")
    assert case.port.labelled_issues(WIDGETS, LABEL) == []
    assert case.port.issue(ref).is_pull_request


def test_an_issue_is_read_as_it_is_now(case: Case) -> None:
    ref = case.people.open_issue(WIDGETS, "Title", None, "alice")
    assert case.port.issue(ref).body == ""
    case.clock.advance(60)
    case.people.edit_issue(ref, title="New", body="Text", editor="alice")
    case.people.close_issue(ref)
    issue = case.port.issue(ref)
    assert (issue.title, issue.body, issue.is_open) == ("New", "Text", False)
    assert (issue.updated_at - issue.created_at).total_seconds() == 60


def test_a_missing_issue_is_not_found(case: Case) -> None:
    with pytest.raises(NotFoundError):
        case.port.issue(IssueRef(WIDGETS, 77))


def test_label_events_tell_who_and_when(case: Case) -> None:
    ref = _issue(case)
    case.people.label_issue(ref, LABEL, "alice")
    case.people.label_issue(ref, "other", "alice")
    case.people.unlabel_issue(ref, LABEL, "alice")
    case.clock.advance(60)
    case.people.label_issue(ref, LABEL, "mona")
    first, second = case.port.label_events(ref, LABEL)
    assert [first.actor, second.actor] == ["alice", "mona"]
    assert second.id > first.id
    assert (second.created_at - first.created_at).total_seconds() == 60


def test_a_deleted_account_leaves_no_name(case: Case) -> None:
    ref = _issue(case)
    case.people.label_issue(ref, LABEL, "alice")
    case.people.edit_issue(ref, body="New", editor="alice")
    case.people.delete_account("alice")
    assert case.port.issue(ref).author is None
    assert [event.actor for event in case.port.label_events(ref, LABEL)] == [None]
    assert {edit.actor for edit in case.port.last_edits(ref)} == {None}


def test_an_unchanged_text_has_no_edits(case: Case) -> None:
    assert case.port.last_edits(_issue(case)) == []


def test_edits_of_title_and_text_tell_who_and_when(case: Case) -> None:
    ref = _issue(case)
    for title, body, editor in [("New", None, "mona"), (None, "Text", "tina")]:
        case.clock.advance(60)
        case.people.edit_issue(ref, title=title, body=body, editor=editor)
    edits = case.port.last_edits(ref)
    # The first is the text's own first version, which GitHub lists once there is a second.
    assert [edit.actor for edit in edits] == ["alice", "mona", "tina"]
    assert edits[-1].at == case.clock()


@pytest.mark.parametrize(
    ("login", "role"),
    [
        ("octo", "admin"),
        ("mona", "maintain"),
        ("alice", "write"),
        ("tina", "triage"),
        ("reader", "read"),
        ("nobody-at-all", "none"),
    ],
)
def test_permissions_are_told_by_role(case: Case, login: str, role: str) -> None:
    case.people.add_user("reader")
    assert case.port.permission(WIDGETS, login) == role


def test_labels_of_any_name_come_and_go(case: Case) -> None:
    ref = _issue(case)
    names = ["claude-flow:running", "a/b", "c#", "größer & kleiner", "100%", "why?"]
    for name in names:
        case.port.add_label(ref, name)
        case.port.add_label(ref, name)
    assert case.people.labels(ref) == set(names)
    for name in names:
        case.port.remove_label(ref, name)
        case.port.remove_label(ref, name)
    assert case.people.labels(ref) == set()


def test_without_the_right_nothing_is_labelled(case: Case) -> None:
    ref = _issue(case)
    case.people.set_permission(WIDGETS, SERVICE_LOGIN, "read")
    with pytest.raises(ForbiddenError):
        case.port.add_label(ref, LABEL)
    with pytest.raises(ForbiddenError):
        case.port.permission(WIDGETS, "alice")


def test_an_archived_repository_cannot_be_changed(case: Case) -> None:
    ref = _issue(case)
    case.people.archive_repository(WIDGETS)
    assert case.port.repository(WIDGETS).is_archived
    with pytest.raises(ForbiddenError):
        case.port.add_label(ref, LABEL)


def test_one_comment_is_written_then_edited(case: Case) -> None:
    ref = _issue(case)
    marker = "<!-- status -->"
    case.people.comment(ref, f"a quotation of {marker}", "alice")
    first = case.port.upsert_comment(ref, marker=marker, body=f"{marker} one")
    for number in range(105):
        case.people.comment(ref, f"chatter {number}", "alice")
    second = case.port.upsert_comment(ref, marker=marker, body=f"{marker} two")
    assert first.id == second.id
    own = [one.body for one in case.people.comments(ref) if one.author == SERVICE_LOGIN]
    assert own == [f"{marker} two"]


def test_comments_are_told_with_their_authors(case: Case) -> None:
    ref = _issue(case)
    for number in range(105):
        case.people.comment(ref, f"chatter {number}", "alice")
    found = case.port.comments(ref)
    assert [(one.author, one.body) for one in found] == [
        ("alice", f"chatter {number}") for number in range(105)
    ]
    assert not any(one.is_edited for one in found)


def test_a_pull_request_is_opened_found_and_updated(case: Case) -> None:
    case.people.commit(WIDGETS, BRANCH, {"a.py": "x = 1\n"})
    assert case.port.find_pull_request(WIDGETS, BRANCH) is None
    opened = case.port.open_pull_request(
        WIDGETS, head=BRANCH, base="main", title="T", body="B", draft=True
    )
    assert opened.is_open
    assert case.port.find_pull_request(WIDGETS, BRANCH) == opened
    assert case.port.update_pull_request(WIDGETS, opened.number, body="C") == opened
    (seen,) = case.people.pull_requests(WIDGETS)
    assert (seen.title, seen.body, seen.head, seen.base) == ("T", "C", BRANCH, "main")
    assert (seen.is_draft, seen.author) == (True, SERVICE_LOGIN)


def test_opening_twice_gives_the_same_pull_request(case: Case) -> None:
    case.people.commit(WIDGETS, BRANCH, {"a.py": "x = 1\n"})
    first, second = (
        case.port.open_pull_request(
            WIDGETS, head=BRANCH, base="main", title="T", body="B", draft=False
        )
        for _ in range(2)
    )
    assert first == second
    assert len(case.people.pull_requests(WIDGETS)) == 1


def test_a_closed_pull_request_makes_room_for_another(case: Case) -> None:
    case.people.commit(WIDGETS, BRANCH, {"a.py": "x = 1\n"})
    first = case.port.open_pull_request(
        WIDGETS, head=BRANCH, base="main", title="T", body="B", draft=False
    )
    case.people.close_issue(IssueRef(WIDGETS, first.number))
    assert case.port.find_pull_request(WIDGETS, BRANCH) is None
    second = case.port.open_pull_request(
        WIDGETS, head=BRANCH, base="main", title="T", body="B", draft=False
    )
    assert second.number != first.number


@pytest.mark.parametrize(
    ("head", "base"), [("missing", "main"), (BRANCH, "missing"), ("same", "main")]
)
def test_a_pull_request_needs_branches_that_differ(case: Case, head: str, base: str) -> None:
    case.people.commit(WIDGETS, BRANCH, {"a.py": "x = 1\n"})
    case.people.commit(WIDGETS, "same", {"a.py": "x = 1\n"})
    case.people.commit(WIDGETS, "main", {"a.py": "x = 1\n"})
    if head == "same":
        head, base = "main", "main"
    with pytest.raises(RejectedError):
        case.port.open_pull_request(WIDGETS, head=head, base=base, title="T", body="B", draft=False)


def test_a_revoked_token_is_refused_until_it_is_back(case: Case) -> None:
    case.people.revoke_token(case.token)
    with pytest.raises(TokenRefusedError):
        case.port.repository(WIDGETS)
    case.people.restore_token(case.token)
    assert case.port.repository(WIDGETS).repository == WIDGETS


def test_the_rate_limit_is_known_after_the_first_answer(case: Case) -> None:
    assert case.port.rate_limit() is None
    case.port.repository(WIDGETS)
    case.port.repository(WIDGETS)
    limit = case.port.rate_limit()
    assert limit is not None
    assert (limit.limit, limit.remaining) == (5000, 4998)
    assert limit.resets_at > case.clock()
