"""Tokens of a GitHub App's installation, got and replaced in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_flow.errors import (
    GitHubUnreachableError,
    RateLimitedError,
    TokenRefusedError,
)
from claude_flow.github import ApiSession, AppIdentity, AppInstallation, GitHubClient
from claude_flow.model.issue import IssueRef, Repository
from claude_flow.testing.apps_api import new_key_pair
from claude_flow.testing.checked_world import checked_world
from claude_flow.testing.clock import FakeClock
from claude_flow.testing.faults import Fault
from claude_flow.testing.records import AppRecord
from claude_flow.testing.world import World

WIDGETS = Repository("octo", "widgets")
TOKENS = "/access_tokens"
MINUTE = 60.0


class Stage:
    """An App that is installed on ``octo``, and what speaks for it."""

    def __init__(self, world: World, clock: FakeClock) -> None:
        self.world = world
        self.clock = clock
        self.app = world.github.install_app("octo")
        self.learnt: list[str] = []
        self.installation = self.acting_as(identity_of(self.app))

    def acting_as(self, identity: AppIdentity) -> AppInstallation:
        return AppInstallation(
            self.world.api_url,
            identity,
            clock=self.clock,
            monotonic=time.monotonic,
            learn=self.learnt.append,
        )

    def session(self) -> ApiSession:
        return ApiSession(
            self.world.api_url,
            self.installation.token,
            clock=self.clock,
            monotonic=time.monotonic,
            renew=self.installation.renew,
        )

    def asked(self) -> int:
        return sum(line.path.endswith(TOKENS) for line in self.world.server.requests)


def identity_of(app: AppRecord) -> AppIdentity:
    return AppIdentity(app.id, app.installation_id, app.private_key)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    clock = FakeClock()
    with checked_world(tmp_path / "world", clock=clock) as world:
        world.github.add_repository(WIDGETS, private=True)
        yield Stage(world, clock)


def test_one_token_serves_until_shortly_before_its_end(stage: Stage) -> None:
    first = stage.installation.token()
    assert first.startswith("ghs_")
    assert len(first) > 500
    assert stage.learnt == [first]
    stage.clock.advance(54 * MINUTE)
    assert stage.installation.token() == first
    stage.clock.advance(2 * MINUTE)
    second = stage.installation.token()
    assert second != first
    assert stage.learnt == [first, second]
    assert stage.asked() == 2


def test_the_present_token_bridges_an_outage_but_not_beyond_its_end(stage: Stage) -> None:
    first = stage.installation.token()
    stage.clock.advance(57 * MINUTE)
    stage.world.server.faults.fail(503, times=3, path=TOKENS)
    assert stage.installation.token() == first
    stage.clock.advance(3 * MINUTE)
    with pytest.raises(GitHubUnreachableError):
        stage.installation.token()
    with pytest.raises(GitHubUnreachableError):
        stage.session().request("GET", f"/repos/{WIDGETS}")
    assert {line.path for line in stage.world.server.requests if line.login is None} == {
        f"/app/installations/{stage.app.installation_id}{TOKENS}"
    }, "nothing is asked without authorisation"
    assert stage.installation.token() != first


def test_many_threads_ask_for_one_token(stage: Stage) -> None:
    together = threading.Barrier(8)
    seen: list[str] = []

    def ask() -> None:
        together.wait()
        seen.append(stage.installation.token())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert stage.asked() == 1


def test_nobody_waits_for_the_next_token_while_the_present_one_is_good(stage: Stage) -> None:
    first = stage.installation.token()
    stage.clock.advance(57 * MINUTE)
    stage.world.server.faults.add(Fault("delay", seconds=3, path=TOKENS))
    renewing = threading.Thread(target=stage.installation.token)
    renewing.start()
    while stage.world.server.faults._waiting:
        time.sleep(0.01)
    assert stage.installation.token() == first
    assert renewing.is_alive()
    renewing.join()
    assert stage.installation.token() != first


def test_a_revoked_token_is_replaced_and_the_request_sent_again(stage: Stage) -> None:
    session = stage.session()
    session.request("GET", f"/repos/{WIDGETS}")
    stage.world.github.revoke_app_tokens(stage.app)
    assert session.request("GET", f"/repos/{WIDGETS}").data["full_name"] == str(WIDGETS)
    statuses = [line.status for line in stage.world.server.requests]
    assert statuses == [201, 200, 401, 201, 200]


def test_a_second_refusal_is_told(stage: Stage) -> None:
    stage.world.server.faults.fail(401, times=2, path=f"/repos/{WIDGETS}")
    with pytest.raises(TokenRefusedError):
        stage.session().request("GET", f"/repos/{WIDGETS}")
    assert stage.asked() == 2


def test_the_app_knows_its_own_comments(stage: Stage) -> None:
    client = GitHubClient(stage.session(), app_login=stage.installation.login)
    ref = stage.world.github.open_issue(WIDGETS, "Title", "", "octo")
    stage.world.github.comment(ref, "<!-- mine --> not the App's", "octo")
    first = client.upsert_comment(ref, marker="<!-- mine -->", body="<!-- mine --> one")
    second = client.upsert_comment(ref, marker="<!-- mine -->", body="<!-- mine --> two")
    assert first.author == "claude-flow-app[bot]"
    assert second.id == first.id
    assert [comment.body for comment in stage.world.github.comments(ref)] == [
        "<!-- mine --> not the App's",
        "<!-- mine --> two",
    ]


# --- what GitHub does not take --------------------------------------------------------------


def refusal(stage: Stage, **changed: object) -> str:
    named = {
        "app_id": stage.app.id,
        "installation_id": stage.app.installation_id,
        "private_key": stage.app.private_key,
    } | changed
    with pytest.raises(TokenRefusedError) as raised:
        stage.acting_as(AppIdentity(**named)).token()  # type: ignore[arg-type] # made up of both types
    text = str(raised.value)
    assert "PRIVATE KEY" not in text
    return text


def test_another_key(stage: Stage) -> None:
    text = refusal(stage, private_key=new_key_pair()[0])
    assert f"refuses the App {stage.app.id}" in text
    assert "could not be decoded" in text
    assert "private_key_file a key of the App" in text


def test_no_key_at_all(stage: Stage) -> None:
    assert "no RSA private key" in refusal(stage, private_key="-----BEGIN nothing-----")
    assert stage.asked() == 0


def test_a_wrong_app(stage: Stage) -> None:
    assert "check github.app.id" in refusal(stage, app_id=999_999)


def test_a_wrong_installation(stage: Stage) -> None:
    assert "check github.app.installation_id" in refusal(stage, installation_id=999_999)


def test_an_installation_that_is_gone_or_suspended(stage: Stage) -> None:
    stage.app.is_suspended = True
    assert "is the installation suspended?" in refusal(stage)
    stage.app.is_installed = False
    assert "still installed there" in refusal(stage)


@pytest.mark.parametrize("minutes", [-30, 30])
def test_a_clock_that_is_wrong(stage: Stage, minutes: int) -> None:
    wrong = FakeClock()
    wrong.advance(minutes * MINUTE)
    installation = AppInstallation(
        stage.world.api_url,
        identity_of(stage.app),
        clock=wrong,
        monotonic=time.monotonic,
        learn=stage.learnt.append,
    )
    with pytest.raises(TokenRefusedError, match="host's clock right"):
        installation.token()


def test_a_missing_app_is_no_missing_permission(stage: Stage) -> None:
    """A 404 about the App must not read as a 404 about a person or an issue."""
    stage.app.is_installed = False
    client = GitHubClient(stage.session(), app_login=stage.installation.login)
    with pytest.raises(TokenRefusedError):
        client.permission(WIDGETS, "octo")
    with pytest.raises(TokenRefusedError):
        client.last_edits(IssueRef(WIDGETS, 1))


def test_a_limit_is_told_as_one(stage: Stage) -> None:
    stage.world.server.faults.secondary_limit(33, path=TOKENS)
    with pytest.raises(RateLimitedError) as raised:
        stage.installation.token()
    assert raised.value.retry_after_seconds == 33


@pytest.mark.parametrize("body", ["{}", "[]", '{"token": null}'])
def test_an_answer_without_a_token_is_no_token(stage: Stage, body: str) -> None:
    stage.world.server.faults.add(Fault("answer", status=201, body=body, path=TOKENS))
    with pytest.raises(TokenRefusedError, match="no installation token"):
        stage.installation.token()


def test_what_the_installation_may_not_do_is_told(stage: Stage) -> None:
    assert stage.installation.lacks() == []
    stage.app.permissions = {"contents": "read", "issues": "write"}
    lesser = stage.acting_as(identity_of(stage.app))
    assert lesser.lacks() == ["contents: write", "pull_requests: write"]
