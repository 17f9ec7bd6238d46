from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

_LABEL = "ready-for-implementation"


def until(condition: Callable[[], bool], what: str, seconds: float = 45) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def labelled_issue(host: Any, repository: str, title: str) -> str:
    ref = host.world.github.open_issue(repository, title, "Please.", "maria")
    host.world.github.label_issue(ref, _LABEL, "maria")
    return str(ref)


def run_of(host: Any, issue: str, state: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        runs = host.client().runs()
        found[:] = [run for run in runs if run["issue"] == issue and run["state"] == state]
        return bool(found)

    until(is_there, f"no {state} run of {issue}")
    return found[0]


def test_a_run_is_listed_shown_and_its_agent_heard(running: Any) -> None:
    issue = labelled_issue(running, "acme/greeter", "Greet loudly")
    run = run_of(running, issue, "succeeded")
    shown = running.fine("runs", "show", run["id"])
    assert run["pull_request"] in shown
    assert "pull_request_opened" in shown
    assert running.json("runs", "show", run["id"]) == run
    logs = ("runs", "logs", run["id"])
    heard = running.fine(*logs)
    assert heard.splitlines()[:2] == ["== attempt 1: agent", "* session begins, model scripted"]
    assert "I greet [31mloudly[0m with ***" in heard, "neither escapes nor tokens come through"
    assert "* result: success, 2 turns" in heard
    raw = [json.loads(line) for line in running.fine(*logs, "--raw").splitlines()]
    assert raw[0]["subtype"] == "init"
    events = [json.loads(line) for line in running.fine(*logs, "--json").splitlines()]
    assert [event["kind"] for event in events] == ["started", "session", "text", "usage", "result"]
    assert running.fine(*logs, "--part", "agent", "--attempt", "1") == heard
    for wrong, code in (
        (("--attempt", "2"), 1),
        (("--part", "../x"), 2),
        (("--json", "--raw"), 2),
        (("--raw", "--part", "hook-before-run"), 1),
    ):
        assert running.ctl(*logs, *wrong).returncode == code, wrong
    table = running.fine("runs", "list", "--state", "succeeded", "--limit", "1").splitlines()
    assert table[0].split()[:3] == ["RUN", "ISSUE", "STATE"]
    assert table[1].endswith(run["pull_request"])
    used = running.json("usage", "--by", "run", "--since", "1d")
    assert {group["run"]: group["turns"] for group in used["groups"]}[run["id"]] == 2
    usage = running.fine("usage").splitlines()
    assert usage[0].split() == ["REPOSITORY", "RUNS", "ATTEMPTS", "TURNS", "TOKENS", "USD"]
    assert usage[1].startswith("acme/greeter ")
    assert usage[-1].startswith("total ")
    # The same from the record, without a daemon.
    running.fine("stop")
    assert running.fine("usage").splitlines() == usage
    assert running.json("usage", "--by", "run", "--since", "1d") == used
    assert running.json("runs", "show", run["id"]) == run
    assert running.fine("runs", "list", "--state", "succeeded", "-n", "1").splitlines() == table


def test_all_attempts_and_parts_are_followed_to_the_runs_end(checking: Any) -> None:
    issue = labelled_issue(checking, "acme/checked", "Greet twice")
    run = run_of(checking, issue, "running")
    followed = checking.fine("runs", "logs", run["id"], "--follow", "--attempt", "1", timeout=120)
    ended = run_of(checking, issue, "succeeded")
    parts = [line for line in followed.splitlines() if line.startswith("== ")]
    assert parts == [
        *("== attempt 1: hook-before-run", "== attempt 1: agent"),
        *("== attempt 1: verify-1-1", "== attempt 1: agent-2", "== attempt 1: verify-2-1"),
    ]
    assert followed.count("* result: ") == len(parts)
    assert followed.count("exit code 1") == 1, "the first check, and not the second"
    assert "about to greet" in followed
    hook = checking.fine("runs", "logs", ended["id"], "--part", "hook-before-run", "--raw")
    assert hook == "about to greet\n"


def test_a_running_run_is_followed_and_cancelled_and_asked_for_again(running: Any) -> None:
    issue = labelled_issue(running, "acme/slow", "Take your time")
    run = run_of(running, issue, "running")
    refused = running.ctl("runs", "retry", run["id"])
    assert refused.returncode == 1
    assert "cancel it first" in refused.stderr
    assert "asked for" in running.fine("runs", "cancel", run["id"])
    followed = running.fine("runs", "logs", run["id"], "--follow")
    assert "* session begins" in followed
    ended = run_of(running, issue, "cancelled")
    assert ended["reason"] == "cancelled_by_user"
    again = running.json("runs", "retry", run["id"])
    assert again["issue"] == issue
    assert again["id"] != run["id"]
    running.fine("runs", "cancel", again["id"])


def test_unknown_runs_and_wrong_words_are_said_plainly(running: Any) -> None:
    for arguments, code in (
        (("runs", "show", "nothing-1"), 2),
        (("runs", "logs", "../../etc"), 2),
        (("runs", "cancel", "nothing-1"), 2),
        (("runs", "list", "--state", "lost"), 2),
        (("runs", "list", "--limit", "0"), 2),
        (("run", "not an issue"), 2),
        (("usage", "--since", "yesterday"), 2),
        (("usage", "--since", "0d"), 2),
        (("usage", "--since", "2999-01-01"), 2),
    ):
        done = running.ctl(*arguments)
        assert done.returncode == code, arguments
        assert done.stderr.strip(), arguments
        assert "Traceback" not in done.stderr, arguments


def test_what_needs_the_daemon_says_so_without_one(host: Any) -> None:
    refused = host.ctl("runs", "cancel", "nothing-1")
    assert refused.returncode == 1
    assert "claude-flowctl start" in refused.stderr


def test_one_issue_in_the_foreground(host: Any) -> None:
    ref = str(host.world.github.open_issue("acme/greeter", "Now", "Please.", "maria"))
    run = host.json("run", ref)
    assert (run["issue"], run["state"]) == (ref, "succeeded")
    assert run["pull_request"]


def test_one_issue_by_the_running_daemon(running: Any) -> None:
    ref = str(running.world.github.open_issue("acme/greeter", "Now", "Please.", "maria"))
    run = running.json("run", ref)
    assert (run["issue"], run["state"]) == (ref, "succeeded")
    assert running.json("runs", "show", run["id"]) == run


def test_an_operator_who_may_not_read_the_token_still_sees_the_runs(running: Any) -> None:
    document = json.loads(running.config_path.read_text())
    document["github"] = {
        key: value for key, value in document["github"].items() if not key.startswith("token")
    } | {"token_file": str(running.config_path.parent / "for-root-only")}
    theirs = running.config_path.with_name("theirs.json")
    theirs.write_text(json.dumps(document))

    for arguments in (("runs", "list"), ("status",)):
        seen = running.ctl("--config", str(theirs), *arguments)
        assert seen.returncode == 0, seen.stderr
    refused = running.ctl("--config", str(theirs), "config", "check")
    assert refused.returncode == 78
    assert "for-root-only" in refused.stderr
