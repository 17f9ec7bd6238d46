"""Daemons die at the worst moments, and nobody on GitHub can tell."""

from __future__ import annotations

import json
import random
import re
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from claude_flow.model.issue import IssueRef
from claude_flow.testing.daemon_process import DaemonProcess, until
from claude_flow.testing.exchange import Exchange
from claude_flow.testing.installation import LABEL, MAINTAINER, Installation
from claude_flow.testing.openapi_check import OpenApiCheck
from claude_flow.testing.seed import plant
from claude_flow.testing.world import World

GREET = "Path('greeting.txt').write_text('Hello!\\n')"


@dataclass(frozen=True)
class Point:
    """The first request of a kind: it takes effect, its answer never arrives."""

    method: str
    path: str

    def is_at(self, exchange: Exchange) -> bool:
        return exchange.method == self.method and bool(re.search(self.path, exchange.path))


@dataclass
class Killer:
    """Checks every exchange, and kills the daemon it is aimed at where it was told to."""

    check: OpenApiCheck = field(default_factory=OpenApiCheck)
    point: Point | None = None
    strike_after: int | None = None
    victim: DaemonProcess | None = None
    total: int = 0
    struck: threading.Event = field(default_factory=threading.Event)

    def __call__(self, exchange: Exchange) -> None:
        self.check(exchange)
        self.total += 1
        is_there = self.point is not None and self.point.is_at(exchange)
        is_due = self.strike_after is not None and self.total >= self.strike_after
        if self.victim is not None and (is_there or is_due):
            self.victim.signal(signal.SIGKILL)
            self.victim = None
            self.struck.set()

    def aim(
        self, daemon: DaemonProcess, *, at: Point | None = None, after: int | None = None
    ) -> None:
        """Strike this daemon at a point, or after so many requests."""
        self.struck.clear()
        self.point = at
        self.strike_after = None if after is None else self.total + after
        self.victim = daemon


@pytest.fixture
def killer() -> Killer:
    return Killer()


@pytest.fixture
def world(tmp_path: Path, killer: Killer) -> Iterator[World]:
    with World(tmp_path / "world", checker=killer) as world:
        yield world
    assert killer.check.faults == []


def waiting_for(flag: Path) -> str:
    return f"while not os.path.exists({str(flag)!r}): print('.', flush=True); time.sleep(.05)"


def assert_as_if_nothing_happened(installation: Installation, issue: IssueRef) -> None:
    github = installation.world.github
    branch = f"claude-flow/issue-{issue.number}"
    pulls = [pull for pull in github.pull_requests(issue.repository) if pull.head == branch]
    assert len(pulls) == 1
    assert len(github.comments(issue)) == 1
    assert github.labels(issue) == {"claude-flow:done"}


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(
            [
                Point("GET", "/issues$"),
                Point("GET", "/issues/1/events$"),
                Point("GET", "/permission$"),
                Point("POST", "/issues/1/labels$"),
                Point("DELETE", "/labels/ready-for-implementation$"),
                Point("POST", "/issues/1/comments$"),
            ],
            id="while it claims",
        ),
        pytest.param(
            [
                Point("GET", "/pulls$"),
                Point("GET", "/issues/1$"),
                Point("GET", "/pulls$"),
                Point("POST", "/pulls$"),
                Point("POST", "/issues/1/labels$"),
                Point("DELETE", "/labels/claude-flow%3Arunning$"),
                Point("PATCH", "/comments/[0-9]+$"),
            ],
            id="while it publishes and tells",
        ),
    ],
)
def test_kill_9_at_a_request_of_each_kind(
    installation: Installation, killer: Killer, points: list[Point]
) -> None:
    issue = installation.issue(installation.add_repository("acme/mortal"), GREET)
    for point in points:
        daemon = installation.start()
        killer.aim(daemon, at=point)
        assert killer.struck.wait(60), f"{point}\n{daemon.last_words()}"
        assert daemon.wait() == -signal.SIGKILL
    daemon = installation.start()
    run = installation.ended(daemon, issue)

    assert (run["reason"], run["attempt"]) == ("pull_request_opened", 1)
    assert len(run["attempts"]) == 1
    assert_as_if_nothing_happened(installation, issue)
    assert daemon.stop() == 0


def test_kill_9_while_the_agent_works_leaves_no_agent_and_costs_no_attempt(
    installation: Installation, tmp_path: Path
) -> None:
    flag = tmp_path / "go"
    child = "subprocess.Popen(['sleep', '600'], start_new_session=True)"
    issue = installation.issue(
        installation.add_repository("acme/mortal"), f"{child}\n{waiting_for(flag)}\n{GREET}"
    )
    for _ in range(2):
        daemon = installation.start()
        until(lambda: len(installation.agents()) >= 2, daemon.last_words)
        daemon.kill()
        until(lambda: not installation.agents(), "the end of the dead daemon's agents")
    flag.touch()
    daemon = installation.start()
    run = installation.ended(daemon, issue)

    assert (run["reason"], run["attempt"]) == ("pull_request_opened", 1)
    assert_as_if_nothing_happened(installation, issue)


# Tells when it, or a child of an earlier one, is not alone on the issue.
JEALOUS = """
seen = Path({seen!r})
for pid in seen.read_text().split() if seen.exists() else []:
    try: state = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
    except OSError: continue
    if state not in "ZX": seen.with_suffix(".overlap").touch()
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
with seen.open("a") as f: f.write(str(os.getpid()) + " " + str(child.pid) + "\\n")
"""


def test_two_agents_never_work_on_one_issue_even_when_the_next_daemon_is_quick(
    installation: Installation, tmp_path: Path
) -> None:
    # In a sandbox nobody can see another's process, and numbers begin anew.
    installation.configure(execution={"sandbox": "off"})
    seen, flag = tmp_path / "seen.pids", tmp_path / "go"
    work = f"{JEALOUS.format(seen=str(seen))}\n{waiting_for(flag)}\n{GREET}"
    issue = installation.issue(installation.add_repository("acme/jealous"), work)

    def has_begun(number: int) -> bool:
        return seen.exists() and len(seen.read_text().splitlines()) >= number

    for number in (1, 2, 3):
        daemon = installation.start()
        until(partial(has_begun, number), daemon.last_words)
        daemon.kill()
    flag.touch()
    daemon = installation.start()
    assert installation.ended(daemon, issue)["reason"] == "pull_request_opened"
    assert not seen.with_suffix(".overlap").exists()
    assert_as_if_nothing_happened(installation, issue)


def test_kill_9_in_mid_run_loses_and_doubles_no_event(
    installation: Installation, tmp_path: Path
) -> None:
    flag = tmp_path / "go"
    work = f"print('I am', time.time_ns(), flush=True)\n{waiting_for(flag)}\n{GREET}"
    issue = installation.issue(installation.add_repository("acme/told"), work)

    def told() -> list[dict[str, Any]]:
        files = (installation.state / "runs").rglob("events.jsonl")
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]

    def names() -> list[str]:
        texts = [event["text"] for event in told() if event["kind"] == "output"]
        return [text for text in texts if text.startswith("I am")]

    daemon = installation.start()
    until(lambda: len(names()) == 1, daemon.last_words)
    daemon.kill()
    flag.touch()
    daemon = installation.start()
    run = installation.ended(daemon, issue)
    assert len(names()) == len(set(names())) == 2, "the agent and the one that followed it"
    ends = [event["kind"] for event in told() if event["kind"] in {"started", "result"}]
    assert ends == ["started", "started", "result"]
    assert all(event["attempt"] == 1 for event in told()), "the daemon's end is no attempt"
    result = told()[-1]
    assert (result["kind"], result["ok"], result["exit_code"]) == ("result", True, 0)
    stream = daemon.ask(f"/api/v1/runs/{run['id']}/events").body.decode()
    blocks = [
        dict(line.split(": ", 1) for line in block.splitlines())
        for block in stream.split("\n\n")
        if block
    ]
    agents = [json.loads(block["data"]) for block in blocks if block["event"] == "agent"]
    assert agents == told(), "over HTTP as well"


@pytest.mark.parametrize("seed", [1, 2])
def test_the_demo_survives_kill_9_at_any_moment(
    installation: Installation, killer: Killer, seed: int
) -> None:
    seeds = resources.files("claude_flow.testing").joinpath("demo_world.json")
    issues = plant(installation.world.github, json.loads(seeds.read_text(encoding="utf-8")))
    command = [sys.executable, "-m", "claude_flow.testing.agent", "--pause", "0.3"]
    installation.configure(
        github={"repositories": sorted({str(issue.repository) for issue in issues})},
        claude_flow={"command": command},
    )
    lives = random.Random(seed)
    for _ in range(4):
        daemon = installation.start()
        killer.aim(daemon, after=lives.randint(1, 14))
        until(lambda: killer.struck.is_set() or all_done(installation, issues), daemon.last_words)
        daemon.kill()
    daemon = installation.start()
    for issue in issues:
        run = installation.ended(daemon, issue)
        assert (run["reason"], run["attempt"]) == ("pull_request_opened", 1)
        assert_as_if_nothing_happened(installation, issue)
    github = installation.world.github
    pulls = {issue.repository: github.pull_requests(issue.repository) for issue in issues}
    assert sum(map(len, pulls.values())) == 3


def all_done(installation: Installation, issues: list[IssueRef]) -> bool:
    github = installation.world.github
    return all("claude-flow:done" in github.labels(issue) for issue in issues)


def test_sigterm_waits_for_the_agent_and_takes_nothing_new(
    installation: Installation, tmp_path: Path
) -> None:
    flag = tmp_path / "go"
    name = installation.add_repository("acme/patient")
    issue = installation.issue(name, f"{waiting_for(flag)}\n{GREET}")
    other = installation.issue(installation.add_repository("acme/late"), GREET, labelled_by=None)
    daemon = installation.start()
    until(installation.agents, daemon.last_words)
    daemon.signal(signal.SIGTERM)
    until(lambda: "stopping;" in daemon.log, daemon.last_words)
    installation.world.github.label_issue(other, LABEL, MAINTAINER)
    assert daemon.is_running
    flag.touch()

    assert daemon.wait() == 0
    assert_as_if_nothing_happened(installation, issue)
    assert installation.world.github.labels(other) == {LABEL}


def test_a_short_grace_cuts_the_attempt_which_is_then_resumed_and_not_counted(
    installation: Installation, tmp_path: Path
) -> None:
    installation.configure(service={"shutdown_grace_seconds": 0.2}, claude_flow={"max_attempts": 1})
    flag = tmp_path / "go"
    issue = installation.issue(
        installation.add_repository("acme/hasty"), f"{waiting_for(flag)}\n{GREET}"
    )
    daemon = installation.start()
    until(installation.agents, daemon.last_words)
    assert daemon.stop() == 0
    assert installation.agents() == []
    assert installation.world.github.labels(issue) == {"claude-flow:running"}

    flag.touch()
    daemon = installation.start()
    run = installation.ended(daemon, issue)
    assert (run["reason"], run["attempt"]) == ("pull_request_opened", 1)
    assert_as_if_nothing_happened(installation, issue)


def test_a_second_daemon_on_the_same_state_refuses(installation: Installation) -> None:
    installation.add_repository("acme/mine")
    first = installation.start()
    first.address()
    second = installation.start()

    assert second.wait() == 1
    refusal = next(line for line in first.log.splitlines() if "held by another daemon" in line)
    assert f"(pid {first.pid})" in refusal
    assert "stop that daemon" in refusal
    assert "Traceback" not in first.log
    assert first.is_running
    assert first.stop() == 0
