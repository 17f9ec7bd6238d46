"""An execution without processes: plays a written scenario in the agent's place."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from claude_flow.execution.limits import Activity, LimitWatch
from claude_flow.model.events import AgentEvent, Happening, Result, Started
from claude_flow.ports import (
    AGENT_PART,
    AgentCommand,
    AgentOutput,
    AgentTask,
    Clock,
    Limits,
    ProcessEnded,
    Progress,
    Stop,
)

_STDERR_TAIL_CHARACTERS = 4096
_SIGTERMED = 143
_SIGKILLED = 137


@dataclass(frozen=True, slots=True)
class Say:
    """Write one line to standard output."""

    line: str


@dataclass(frozen=True, slots=True)
class Complain:
    """Write text to standard error."""

    text: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Write a file of the workspace; ``path`` is relative to it."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for a while; ``math.inf`` for ever."""

    seconds: float = math.inf


@dataclass(frozen=True, slots=True)
class RunOutOfMemory:
    """Be killed by the kernel, as all of a unit is at its limit."""


Action = Say | Complain | Edit | Pause | RunOutOfMemory


@dataclass(frozen=True, slots=True)
class Scenario:
    """What an agent does, in order, and the exit code it leaves with."""

    actions: tuple[Action, ...] = ()
    exit_code: int = 0


class FakeExecution:
    """Implements ``ports.Execution``; ``scenario`` says what happens for a task.

    ``tasks`` and ``commands`` are what it was asked to run, ``events`` what happened, ``running``
    the ids of runs whose agent is at work. ``begun`` holds the runs, attempts and parts that an
    earlier daemon has started.
    """

    def __init__(self, scenario: Callable[[AgentTask], Scenario], *, clock: Clock) -> None:
        self._scenario = scenario
        self._clock = clock
        self.tasks: list[AgentTask] = []
        self.commands: list[AgentCommand] = []
        self.events: list[AgentEvent] = []
        self.running: set[str] = set()
        self.begun: set[tuple[str, int, str]] = set()

    async def is_begun(self, run_id: str, attempt: int, part: str = AGENT_PART) -> bool:
        """Whether it is in ``begun``. See ``ports.Execution``."""
        return (run_id, attempt, part) in self.begun

    async def end(self, run_id: str, attempt: int) -> None:
        """Nothing is in ``begun`` of it any more. See ``ports.Execution``."""
        self.begun = {key for key in self.begun if key[:2] != (run_id, attempt)}

    async def run(
        self,
        task: AgentTask,
        command: AgentCommand,
        limits: Limits,
        output: AgentOutput,
        on_progress: Callable[[Progress], None],
    ) -> ProcessEnded:
        """Play the scenario within the limits. See ``ports.Execution.run``."""
        self.tasks.append(task)
        self.commands.append(command)
        self.running.add(task.run_id)
        try:
            player = _Player(task, limits, output, on_progress, self._note)
            return await player.play(self._scenario(task), self._clock)
        finally:
            self.running.discard(task.run_id)

    def _note(self, task: AgentTask, happening: Happening) -> None:
        self.events.append(AgentEvent(self._clock(), task.attempt, task.part, happening))


class _Player:
    def __init__(
        self,
        task: AgentTask,
        limits: Limits,
        output: AgentOutput,
        on_progress: Callable[[Progress], None],
        note: Callable[[AgentTask, Happening], None],
    ) -> None:
        self._task = task
        self._note = partial(note, task)
        self._output = output
        self._on_progress = on_progress
        self._stderr = ""
        self._now = asyncio.get_running_loop().time
        self._watch = LimitWatch(
            now=self._now(),
            timeout_seconds=limits.timeout_seconds,
            stall_timeout_seconds=limits.stall_timeout_seconds,
        )

    async def play(self, scenario: Scenario, clock: Clock) -> ProcessEnded:
        started_at = clock()
        self._note(Started())
        stopped: Stop | None = None
        try:
            for action in scenario.actions:
                stopped = await self._act(action)
                if stopped is not None:
                    break
        except asyncio.CancelledError:
            self._note(Result(ok=False, stopped="cut_short"))
            raise
        ended = ProcessEnded(
            exit_code=_exit_code(scenario, stopped),
            stopped=stopped,
            started_at=started_at,
            ended_at=clock(),
            stderr_tail=self._stderr[-_STDERR_TAIL_CHARACTERS:],
        )
        verdict = self._output.verdict(ended)
        self._note(
            Result(
                ok=verdict.reason is None,
                reason=verdict.reason,
                exit_code=ended.exit_code,
                stopped=ended.stopped,
            )
        )
        return ended

    async def _act(self, action: Action) -> Stop | None:
        match action:
            case Say(line):
                self._watch.heard(self._now())
                for happening in self._output.feed(line):
                    self._note(happening)
                self._on_progress(self._output.progress)
                return Stop.FATAL if self._output.fatal is not None else None
            case Complain(text):
                self._watch.heard(self._now())
                self._stderr += text
            case Edit(path, text):
                (self._task.workspace / path).write_text(text, encoding="utf-8")
            case Pause(seconds):
                return await self._pause(seconds)
            case RunOutOfMemory():
                return Stop.OUT_OF_MEMORY
        return None

    async def _pause(self, seconds: float) -> Stop | None:
        until = self._now() + seconds
        while (left := until - self._now()) > 0:
            if self._watch.wants_to_see(self._now()):
                self._watch.saw(self._now(), Activity())  # a pause uses nothing
            stopped = self._watch.exceeded(self._now())
            if stopped is not None:
                return stopped
            await asyncio.sleep(min(left, self._watch.seconds_left(self._now())))
        return None


def _exit_code(scenario: Scenario, stopped: Stop | None) -> int:
    if stopped is None:
        return scenario.exit_code
    return _SIGKILLED if stopped is Stop.OUT_OF_MEMORY else _SIGTERMED
