"""The execution's port: its backends and the fake go through the same cases.

The case ``systemd`` needs a host with the role's units and users: the Molecule scenario
``hardening`` runs this file there, and sets the variable ``CLAUDE_FLOW_ON_HOST``.
"""

import asyncio
import json
import math
import os
import sys
import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from claude_flow.execution.event_log import EventPosition, RunEvents
from claude_flow.execution.local import LocalExecution, LocalSettings
from claude_flow.execution.sandbox import Sandbox, SandboxMode, SandboxSettings
from claude_flow.execution.unit_control import UnitControl, UnitSettings
from claude_flow.execution.units import UnitExecution
from claude_flow.model.events import AgentEvent, Happening, Output, Result
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Reason, Usage
from claude_flow.ports import (
    AgentCommand,
    AgentPlaces,
    AgentTask,
    Execution,
    Limits,
    ProcessEnded,
    Progress,
    Stop,
    Verdict,
)
from claude_flow.systemd.manager import SystemdUnits
from claude_flow.testing.fake_execution import (
    Complain,
    Edit,
    FakeExecution,
    Pause,
    Say,
    Scenario,
)
from claude_flow.testing.fake_units import FakeUnits

KINDS = (
    ["systemd"] if "CLAUDE_FLOW_ON_HOST" in os.environ else ["local", "sandboxed", "units", "fake"]
)
STATE = Path("/var/lib/claude-flow")

AMPLE = Limits(timeout_seconds=60, stall_timeout_seconds=60)

# Plays a scenario as a real program.
PLAYER = """
import json, sys, time
for kind, action in json.loads(sys.argv[1]):
    match kind:
        case "Say": print(action["line"], flush=True)
        case "Complain": print(action["text"], end="", file=sys.stderr, flush=True)
        case "Edit": open(action["path"], "w").write(action["text"])
        case "Pause": time.sleep(min(action["seconds"], 3600))
sys.exit(int(sys.argv[2]))
"""


class Listener:
    """An ``AgentOutput`` that keeps the lines; ``stop!`` is fatal to it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def feed(self, line: str) -> tuple[Happening, ...]:
        self.lines.append(line)
        return (Output(line),)

    @property
    def progress(self) -> Progress:
        return Progress(last_event=self.lines[-1] if self.lines else None)

    @property
    def fatal(self) -> str | None:
        return "was told to" if "stop!" in self.lines else None

    def verdict(self, ended: ProcessEnded) -> Verdict:
        return Verdict(Reason.AGENT_FAILED if ended.exit_code else None, Usage())


class Make(Protocol):
    def __call__(self, scenario: Scenario) -> tuple[Execution, AgentCommand]: ...


def now() -> datetime:
    return datetime.now(UTC)


def played(scenario: Scenario) -> AgentCommand:
    """The scenario as a real program."""
    actions = [(type(action).__name__, asdict(action)) for action in scenario.actions]
    argv = (sys.executable, "-c", PLAYER, json.dumps(actions), str(scenario.exit_code))
    return AgentCommand(argv, {}, "", {})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the service's directories are."""
    return STATE if "CLAUDE_FLOW_ON_HOST" in os.environ else tmp_path


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, root: Path, task: AgentTask) -> Make:
    def make_local(
        scenario: Scenario, sandbox: Sandbox | None = None
    ) -> tuple[Execution, AgentCommand]:
        settings = LocalSettings(runs_directory=root / "runs", grace_seconds=2, poll_seconds=0.02)
        return LocalExecution(settings, clock=now, sandbox=sandbox), played(scenario)

    def make_sandboxed(scenario: Scenario) -> tuple[Execution, AgentCommand]:
        return make_local(scenario, Sandbox(SandboxSettings(mode=SandboxMode.REQUIRED)))

    def in_units(control: UnitControl) -> UnitExecution:
        places = AgentPlaces(
            task.workspace, root / "runs" / task.run_id / "repo.git", root / "repos/objects"
        )
        for directory in (places.repository, places.objects):
            directory.mkdir(parents=True, exist_ok=True)
        return UnitExecution(control, places=lambda _: places, is_wanted=lambda _: False, clock=now)

    def make_units(scenario: Scenario) -> tuple[Execution, AgentCommand]:
        settings = UnitSettings(
            runs_directory=root / "runs",
            units_directory=root / "units",
            seen_at=root / "attempt",
            grace_seconds=2,
            poll_seconds=0.02,
            look_seconds=0.05,
        )
        units = FakeUnits(settings.units_directory, settings.seen_at)
        return in_units(UnitControl(settings, units)), played(scenario)

    def make_systemd(scenario: Scenario) -> tuple[Execution, AgentCommand]:
        settings = UnitSettings(runs_directory=root / "runs", look_seconds=0.05)
        return in_units(UnitControl(settings, SystemdUnits())), played(scenario)

    def make_fake(scenario: Scenario) -> tuple[Execution, AgentCommand]:
        return FakeExecution(lambda _: scenario, clock=now), AgentCommand(("fake",), {}, "", {})

    kinds: dict[str, Make] = {
        "local": make_local,
        "sandboxed": make_sandboxed,
        "units": make_units,
        "systemd": make_systemd,
        "fake": make_fake,
    }
    return kinds[request.param]


@pytest.fixture
def task(root: Path) -> AgentTask:
    run_id = f"widgets-7-{uuid.uuid4().hex[:10]}"
    workspace = root / "workspaces" / run_id
    workspace.mkdir(parents=True)
    return AgentTask(
        run_id=run_id,
        attempt=1,
        issue=IssueRef.parse("octo/widgets#7"),
        workspace=workspace,
        scratch=root / "runs" / run_id / "1/scratch",
        prompt="do it",
    )


def ignore(_: Progress) -> None:
    """Hear of progress and do nothing."""


async def test_feeds_every_line_in_order_and_tells_how_it_ended(
    make: Make, task: AgentTask
) -> None:
    scenario = Scenario(
        (Say("one"), Say(""), Complain("hm\n"), Say("three ü"), Edit("made.txt", "by it")), 3
    )
    execution, command = make(scenario)
    listener = Listener()
    heard: list[Progress] = []
    ended = await execution.run(task, command, AMPLE, listener, heard.append)
    assert listener.lines == ["one", "", "three ü"]
    assert (ended.exit_code, ended.stopped, ended.stderr_tail) == (3, None, "hm\n")
    assert ended.started_at <= ended.ended_at
    assert heard[-1].last_event == "three ü"
    assert (task.workspace / "made.txt").read_text() == "by it"


async def test_progress_is_told_while_it_runs(make: Make, task: AgentTask) -> None:
    execution, command = make(Scenario((Say("at work"), Pause())))
    told = asyncio.Event()

    def on_progress(progress: Progress) -> None:
        if progress.last_event == "at work":
            told.set()

    run = asyncio.create_task(execution.run(task, command, AMPLE, Listener(), on_progress))
    await asyncio.wait_for(told.wait(), 20)
    assert not run.done()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_a_time_out_ends_it_even_while_it_talks(make: Make, task: AgentTask) -> None:
    chatter = tuple(action for _ in range(600) for action in (Say("still here"), Pause(0.1)))
    execution, command = make(Scenario(chatter))
    limits = Limits(timeout_seconds=1, stall_timeout_seconds=60)
    ended = await execution.run(task, command, limits, Listener(), ignore)
    assert ended.stopped is Stop.TIMED_OUT


async def test_silence_ends_it(make: Make, task: AgentTask) -> None:
    execution, command = make(Scenario((Say("a last word"), Pause())))
    listener = Listener()
    limits = Limits(timeout_seconds=60, stall_timeout_seconds=1)
    ended = await execution.run(task, command, limits, listener, ignore)
    assert ended.stopped is Stop.STALLED
    assert listener.lines == ["a last word"]


@pytest.mark.parametrize("word", [Say, Complain])
async def test_a_word_on_either_stream_is_no_silence(
    make: Make, task: AgentTask, word: Callable[[str], Say | Complain]
) -> None:
    slow_talk = tuple(action for _ in range(8) for action in (word("hm"), Pause(0.3)))
    execution, command = make(Scenario(slow_talk))
    limits = Limits(timeout_seconds=60, stall_timeout_seconds=1.5)
    ended = await execution.run(task, command, limits, Listener(), ignore)
    assert ended.stopped is None


async def test_a_fatal_word_ends_it(make: Make, task: AgentTask) -> None:
    execution, command = make(Scenario((Say("stop!"), Pause(math.inf))))
    ended = await execution.run(task, command, AMPLE, Listener(), ignore)
    assert ended.stopped is Stop.FATAL


async def test_only_the_end_of_the_complaints_is_told(make: Make, task: AgentTask) -> None:
    execution, command = make(Scenario((Complain("x" * 5000 + "the end"),), 1))
    ended = await execution.run(task, command, AMPLE, Listener(), ignore)
    assert ended.stderr_tail == ("x" * 5000 + "the end")[-4096:]


async def test_what_happens_is_told_from_the_start_to_the_result(
    make: Make, task: AgentTask, root: Path
) -> None:
    execution, command = make(Scenario((Say("one"), Say("two")), 3))
    await execution.run(task, command, AMPLE, Listener(), ignore)
    events = told_by(execution, root, task)
    assert [event.kind for event in events] == ["started", "output", "output", "result"]
    assert [event.what for event in events[1:3]] == [Output("one"), Output("two")]
    assert {(event.attempt, event.part) for event in events} == {(1, "agent")}
    result = events[-1].what
    assert isinstance(result, Result)
    assert (result.ok, result.exit_code, result.stopped) == (False, 3, None)


async def test_a_cancel_is_a_result_too(make: Make, task: AgentTask, root: Path) -> None:
    execution, command = make(Scenario((Say("at work"), Pause())))
    told = asyncio.Event()
    run = asyncio.create_task(execution.run(task, command, AMPLE, Listener(), lambda _: told.set()))
    await asyncio.wait_for(told.wait(), 20)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    *_, last = told_by(execution, root, task)
    assert isinstance(last.what, Result)
    assert (last.what.ok, last.what.stopped) == (False, "cut_short")


def told_by(execution: Execution, root: Path, task: AgentTask) -> list[AgentEvent]:
    """All that happened in the task's run."""
    if isinstance(execution, FakeExecution):
        return execution.events
    lines = RunEvents(root / "runs").after(task.run_id, EventPosition())
    return [AgentEvent.from_line(told.line) for told in lines]
