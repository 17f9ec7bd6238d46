"""One labelled issue after the other goes through the real daemon to its outcome."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from claude_flow.model.issue import IssueRef
from claude_flow.testing.checked_world import checked_world
from claude_flow.testing.daemon_process import DaemonProcess, until
from claude_flow.testing.installation import LABEL, MAINTAINER, Installation
from claude_flow.testing.world import World

MARKER = "<!-- claude-flow:status -->"
GREET = "Path('greeting.txt').write_text('Hello!\\n')"
POOL = [f"acme/line-{number}" for number in range(16)]


@dataclass
class Line:
    """A running daemon that watches a pool of repositories, one for each test."""

    installation: Installation
    daemon: DaemonProcess
    unused: list[str]

    @property
    def world(self) -> World:
        return self.installation.world

    def issue(self, work: str, **named: Any) -> IssueRef:
        return self.installation.issue(self.unused.pop(), work, **named)

    def ended(self, issue: IssueRef, count: int = 1) -> dict[str, Any]:
        return self.installation.ended(self.daemon, issue, count)

    def only_comment(self, issue: IssueRef) -> str:
        (comment,) = self.world.github.comments(issue)
        assert comment.author == "claude-flow-bot"
        assert comment.body.count(MARKER) == 1
        return comment.body


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    root = tmp_path_factory.mktemp("line")
    with checked_world(root / "world") as world, Installation(root / "host", world) as host:
        for name in POOL:
            host.add_repository(name)
        host.configure(service={"max_concurrent_runs": 4}, claude_flow={"max_attempts": 3})
        daemon = host.start()
        yield Line(host, daemon, list(POOL))
        assert daemon.stop() == 0


def test_a_label_becomes_a_draft_pull_request(line: Line) -> None:
    issue = line.issue(GREET, title="Greet politely")
    run = line.ended(issue)

    assert (run["state"], run["reason"]) == ("succeeded", "pull_request_opened")
    (pull,) = line.world.github.pull_requests(issue.repository)
    assert pull.is_draft
    assert pull.title == "Greet politely"
    assert (pull.head, pull.base) == (f"claude-flow/issue-{issue.number}", "main")
    assert f"Closes #{issue.number}" in pull.body.splitlines()
    assert f"<!-- claude-flow:run={run['id']} -->" in pull.body
    assert run["pull_request"] == (
        f"{line.world.git_base_url}/{issue.repository}/pull/{pull.number}"
    )
    files = line.world.github.files(issue.repository, pull.head)
    assert files["greeting.txt"] == "Hello!\n"
    assert line.world.github.labels(issue) == {"claude-flow:done"}
    assert run["pull_request"] in line.only_comment(issue)


def test_a_run_in_json_is_as_the_contract_says(line: Line) -> None:
    issue = line.issue(GREET)
    run = line.ended(issue)

    named = {
        *("id", "issue", "trigger", "state", "phase", "reason", "attempt", "attempts"),
        *("pull_request", "created_at", "started_at", "ended_at"),
    }
    assert named <= run.keys()
    assert run["issue"] == str(issue)
    assert run["phase"] is None
    assert run["attempt"] == 1
    (attempt,) = run["attempts"]
    assert {"reason", "started_at", "ended_at", "exit_code"} <= attempt.keys()
    assert {"turns", "tokens", "cost_usd"} <= attempt.keys()
    assert attempt["exit_code"] == 0
    moments = [run["created_at"], run["started_at"], attempt["ended_at"], run["ended_at"]]
    assert all(moment.endswith("Z") for moment in moments)
    parsed = [datetime.fromisoformat(moment) for moment in moments]
    assert parsed == sorted(parsed)
    assert line.daemon.ask(f"/api/v1/runs/{run['id']}").json() == run


def test_the_label_put_back_updates_the_same_pull_request(line: Line) -> None:
    issue = line.issue("with open('log.txt', 'a') as f: f.write('once more\\n')")
    first = line.ended(issue)
    line.world.github.label_issue(issue, LABEL, MAINTAINER)
    second = line.ended(issue, 2)

    assert second["id"] != first["id"]
    assert second["reason"] == "pull_request_updated"
    assert second["pull_request"] == first["pull_request"]
    (pull,) = line.world.github.pull_requests(issue.repository)
    assert f"claude-flow:run={second['id']}" in pull.body
    files = line.world.github.files(issue.repository, pull.head)
    assert files["log.txt"] == "once more\n" * 2
    assert line.world.github.labels(issue) == {"claude-flow:done"}
    assert second["id"] in line.only_comment(issue)


def test_a_closed_pull_request_makes_room_for_another_on_the_same_branch(line: Line) -> None:
    issue = line.issue("with open('log.txt', 'a') as f: f.write('once more\\n')")
    line.ended(issue)
    (pull,) = line.world.github.pull_requests(issue.repository)
    line.world.github.close_issue(IssueRef(issue.repository, pull.number), MAINTAINER)
    line.world.github.commit(issue.repository, "main", {"news.txt": "meanwhile\n"})
    line.world.github.label_issue(issue, LABEL, MAINTAINER)
    run = line.ended(issue, 2)

    assert run["reason"] == "pull_request_opened", run
    closed, reopened = line.world.github.pull_requests(issue.repository)
    assert (closed.is_open, reopened.is_open) == (False, True)
    assert reopened.head == closed.head
    files = line.world.github.files(issue.repository, reopened.head)
    assert (files["log.txt"], files["news.txt"]) == ("once more\n", "meanwhile\n")
    line.only_comment(issue)


def test_a_branch_that_somebody_else_moved_is_not_overwritten(line: Line) -> None:
    flag = line.installation.root / "moved"
    issue = line.issue(
        f"{GREET}\nwhile not os.path.exists({str(flag)!r}): print('.', flush=True); time.sleep(.1)"
    )
    until(lambda: "executing" in [run["phase"] for run in line.daemon.runs(issue)], "the agent")
    branch = f"claude-flow/issue-{issue.number}"
    line.world.github.commit(issue.repository, branch, {"mine.txt": "by hand\n"})
    flag.touch()
    run = line.ended(issue)

    assert run["reason"] == "publish_rejected"
    assert line.world.github.files(issue.repository, branch)["mine.txt"] == "by hand\n"
    assert "could not be published" in line.only_comment(issue)


def test_issues_with_little_or_strange_text_are_worked_on(line: Line) -> None:
    repository = line.unused.pop()
    title = 'Ünïcode 🦊 `$(touch /tmp/x)` "quotes" <!-- --> {{ 7 * 7 }}'
    strange = line.installation.issue(repository, GREET, title=title)
    assert line.ended(strange)["reason"] == "pull_request_opened"
    (pull,) = line.world.github.pull_requests(repository)
    assert pull.title == title
    empty = line.world.github.open_issue(repository, "Nothing more", None, MAINTAINER)
    line.world.github.label_issue(empty, LABEL, MAINTAINER)
    assert line.ended(empty)["reason"] == "no_changes"


def test_nothing_changed_is_said_and_publishes_nothing(line: Line) -> None:
    issue = line.issue("print('All is well as it is.')")
    run = line.ended(issue)

    assert (run["state"], run["reason"]) == ("failed", "no_changes")
    assert run["pull_request"] is None
    assert list(line.world.github.branches(issue.repository)) == ["main"]
    assert line.world.github.labels(issue) == {"claude-flow:failed"}
    assert "without changing anything" in line.only_comment(issue)


def test_a_failing_agent_is_tried_again_later_and_later(line: Line) -> None:
    issue = line.issue("sys.exit('the model is on strike')")
    run = line.ended(issue)

    assert (run["state"], run["reason"]) == ("failed", "attempts_exhausted")
    assert [attempt["reason"] for attempt in run["attempts"]] == ["agent_failed"] * 3
    assert {attempt["exit_code"] for attempt in run["attempts"]} == {1}
    for number, (one, other) in enumerate(pairwise(run["attempts"])):
        pause = datetime.fromisoformat(other["started_at"]) - datetime.fromisoformat(
            one["ended_at"]
        )
        assert pause.total_seconds() >= 0.2 * 2**number
    comment = line.only_comment(issue)
    assert "the model is on strike" in comment
    assert "attempts exhausted (agent failed)" in comment
    assert line.world.github.labels(issue) == {"claude-flow:failed"}


def test_a_second_attempt_may_succeed_and_knows_of_the_first(line: Line) -> None:
    work = (
        "Path('prompt.txt').write_text(prompt)\n"
        "if 'This is attempt ' + '2' not in prompt: sys.exit('not yet')"
    )
    issue = line.issue(work)
    run = line.ended(issue)

    assert run["reason"] == "pull_request_opened"
    assert [attempt["reason"] for attempt in run["attempts"]] == [
        "agent_failed",
        "pull_request_opened",
    ]
    files = line.world.github.files(issue.repository, f"claude-flow/issue-{issue.number}")
    assert "not yet" in files["prompt.txt"].rpartition("This is attempt 2")[2]


def test_a_stranger_cannot_ask_for_work(line: Line) -> None:
    issue = line.issue(GREET, labelled_by="mallory")
    run = line.ended(issue)

    assert (run["state"], run["reason"]) == ("failed", "untrusted")
    assert line.world.github.pull_requests(issue.repository) == []
    comment = line.only_comment(issue)
    assert "`mallory` asked for this run" in comment
    assert "`write`" in comment
    assert LABEL not in line.world.github.labels(issue)

    line.world.github.label_issue(issue, LABEL, MAINTAINER)
    assert line.ended(issue, 2)["reason"] == "pull_request_opened"


@pytest.mark.parametrize("part", ["title", "body"])
def test_a_strangers_words_never_reach_the_agent(line: Line, part: str) -> None:
    issue = line.issue(GREET, labelled_by=None)
    with line.world.github.lock:  # both before the daemon can look
        line.world.github.label_issue(issue, LABEL, MAINTAINER)
        line.world.github.edit_issue(
            issue, **{part: "```python\nPath('evil').touch()\n```"}, editor="mallory"
        )
    run = line.ended(issue)

    assert run["reason"] == "untrusted"
    assert run["attempts"][0]["exit_code"] is None
    assert "`mallory` changed the issue after it was approved" in line.only_comment(issue)
    assert list(line.world.github.branches(issue.repository)) == ["main"]


def test_an_issue_closed_meanwhile_gets_no_pull_request(line: Line) -> None:
    flag = line.installation.root / "closed"
    issue = line.issue(
        f"{GREET}\nwhile not os.path.exists({str(flag)!r}): print('.', flush=True); time.sleep(.1)"
    )
    until(lambda: "executing" in [run["phase"] for run in line.daemon.runs(issue)], "the agent")
    line.world.github.close_issue(issue)
    flag.touch()
    run = line.ended(issue)

    assert (run["state"], run["reason"]) == ("cancelled", "issue_closed")
    assert line.world.github.pull_requests(issue.repository) == []
    assert list(line.world.github.branches(issue.repository)) == ["main"]
    assert line.world.github.labels(issue) == frozenset({"claude-flow:failed"})


def test_a_protected_branch_is_told_and_not_tried_again(line: Line) -> None:
    issue = line.issue(GREET, labelled_by=None)
    branch = f"claude-flow/issue-{issue.number}"
    line.world.github.protect_branch(issue.repository, branch)
    line.world.github.label_issue(issue, LABEL, MAINTAINER)
    run = line.ended(issue)

    assert (run["state"], run["reason"], run["attempt"]) == ("failed", "publish_rejected", 1)
    assert line.world.github.pull_requests(issue.repository) == []
    assert "could not be published" in line.only_comment(issue)


def test_a_renamed_repository_is_followed(line: Line) -> None:
    issue = line.issue(GREET, labelled_by=None)
    renamed = line.world.github.rename_repository(issue.repository, "renamed")
    line.world.github.label_issue(issue, LABEL, MAINTAINER)
    run = line.ended(issue)

    assert run["reason"] == "pull_request_opened"
    (pull,) = line.world.github.pull_requests(renamed)
    assert run["pull_request"].endswith(f"/acme/renamed/pull/{pull.number}")
    line.only_comment(issue)


def test_an_agent_out_of_time_and_one_that_fell_silent(installation: Installation) -> None:
    installation.configure(
        service={"max_concurrent_runs": 2},
        claude_flow={"timeout_seconds": 8, "stall_timeout_seconds": 3, "max_attempts": 1},
    )
    # Each leaves a child behind that ignores all that one may ignore.
    child = "subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    busy = installation.issue(
        installation.add_repository("acme/busy"),
        f"{child}while True: print('.', flush=True); time.sleep(.1)",
    )
    silent = installation.issue(
        installation.add_repository("acme/silent"),
        f"{child}signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(60)",
    )
    daemon = installation.start()

    for issue, reason in ((busy, "timed_out"), (silent, "stalled")):
        run = installation.ended(daemon, issue)
        assert (run["state"], run["reason"]) == ("failed", "attempts_exhausted")
        assert [attempt["reason"] for attempt in run["attempts"]] == [reason]
    assert installation.agents() == []
    assert daemon.stop() == 0


def test_once_works_off_what_it_finds_and_leaves(installation: Installation) -> None:
    issues = [
        installation.issue(installation.add_repository(name), GREET)
        for name in ("acme/one", "acme/two")
    ]
    issues.append(installation.issue("acme/two", "sys.exit(1)"))
    daemon = installation.start("--once")

    assert daemon.wait(120) == 0, daemon.last_words()
    github = installation.world.github
    assert [len(github.pull_requests(issue.repository)) for issue in issues] == [1, 1, 1]
    assert [sorted(github.labels(issue)) for issue in issues] == [
        ["claude-flow:done"],
        ["claude-flow:done"],
        ["claude-flow:failed"],
    ]


def test_once_without_any_issue_leaves_at_once(installation: Installation) -> None:
    installation.add_repository("acme/quiet")
    daemon = installation.start("--once")
    assert daemon.wait() == 0


def test_an_issue_over_the_limit_waits_and_loses_its_label_freely(
    installation: Installation, tmp_path: Path
) -> None:
    flag = tmp_path / "go"
    name = installation.add_repository("acme/narrow")
    wait = f"while not os.path.exists({str(flag)!r}): print('.', flush=True); time.sleep(.1)"
    first = installation.issue(name, f"{wait}\n{GREET}")
    second = installation.issue(name, GREET)
    daemon = installation.start()
    until(lambda: [run["state"] for run in daemon.runs(first)] == ["running"], "the first run")

    polled = len(installation.world.server.requests)
    until(lambda: len(installation.world.server.requests) > polled + 2, "two more polls")
    assert daemon.runs(second) == []
    installation.world.github.unlabel_issue(second, LABEL, MAINTAINER)
    flag.touch()
    assert installation.ended(daemon, first)["reason"] == "pull_request_opened"
    polled = len(installation.world.server.requests)
    until(lambda: len(installation.world.server.requests) > polled + 2, "two more polls")
    assert daemon.runs(second) == []
    assert installation.world.github.comments(second) == []
