"""GitHub, or the right to use it, goes away in the middle of the work and comes back."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from claude_flow.model.issue import IssueRef
from claude_flow.testing.daemon_process import DaemonProcess, until
from claude_flow.testing.installation import LABEL, Installation

GREET = "Path('greeting.txt').write_text('Hello!\\n')"


def issue_whose_agent_waits(installation: Installation, flag: Path) -> IssueRef:
    wait = f"while not os.path.exists({str(flag)!r}): print('.', flush=True); time.sleep(.05)"
    return installation.issue(
        installation.add_repository("acme/cut-off"), f"{wait}\n{GREET}", labelled_by="maria"
    )


def assert_done(installation: Installation, daemon: DaemonProcess, issue: IssueRef) -> None:
    run = installation.ended(daemon, issue)
    assert (run["reason"], run["attempt"]) == ("pull_request_opened", 1)
    github = installation.world.github
    assert len(github.pull_requests(issue.repository)) == 1
    assert len(github.comments(issue)) == 1
    assert github.labels(issue) == {"claude-flow:done"}


def test_a_token_revoked_during_the_work_loses_nothing(
    installation: Installation, tmp_path: Path
) -> None:
    flag = tmp_path / "go"
    issue = issue_whose_agent_waits(installation, flag)
    daemon = installation.start()
    until(installation.agents, daemon.last_words)
    world = installation.world
    world.github.revoke_token(world.token)
    flag.touch()
    until(lambda: [run["phase"] for run in daemon.runs(issue)] == ["publishing"], daemon.last_words)
    until(lambda: daemon.ask("/health/ready").status == 503, daemon.last_words)

    world.github.restore_token(world.token)
    assert_done(installation, daemon, issue)
    until(lambda: daemon.ask("/health/ready").status == 200, daemon.last_words)
    assert daemon.log.count("set a new github.token") == 1
    assert daemon.stop() == 0


def test_a_daemon_ends_in_time_although_github_does_not_answer(
    installation: Installation, tmp_path: Path
) -> None:
    installation.configure(service={"shutdown_grace_seconds": 0.2})
    flag = tmp_path / "go"
    issue = issue_whose_agent_waits(installation, flag)
    daemon = installation.start()
    until(installation.agents, daemon.last_words)
    faults = installation.world.server.faults
    faults.fail(502, times=10_000, path="/pulls")
    flag.touch()
    until(lambda: [run["phase"] for run in daemon.runs(issue)] == ["publishing"], daemon.last_words)
    requests = installation.world.server.requests
    until(lambda: any(line.status == 502 for line in requests), daemon.last_words)
    begun = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.last_words()
    assert time.monotonic() - begun < 30
    assert "Traceback" not in daemon.log

    faults.clear()
    assert_done(installation, installation.start(), issue)


def test_a_poll_that_finds_nothing_new_is_free(installation: Installation) -> None:
    name = installation.add_repository("acme/quiet")
    installation.world.github.open_issue(name, "Not asked for", "", "maria")
    daemon = installation.start()
    world = installation.world.server
    until(lambda: len(world.requests) >= 2, daemon.last_words)
    used = world.limits.used
    until(lambda: len(world.requests) >= 6, daemon.last_words)
    assert world.limits.used == used
    assert {line.status for line in world.requests[1:]} == {304}
    assert {line.path for line in world.requests} == {"/repos/acme/quiet/issues"}
    assert all(LABEL in line.query for line in world.requests)
