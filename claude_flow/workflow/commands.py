"""A repository's own commands, run as parts of an attempt where its agent runs."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from claude_flow.model.events import Happening, Output
from claude_flow.model.run import Reason, Run, Usage
from claude_flow.ports import (
    AgentTask,
    Execution,
    Limits,
    ProcessEnded,
    Progress,
    Shell,
    Stop,
    Verdict,
    Workspace,
)

_log = logging.getLogger(__name__)

_KEPT_LINES = 200
_LONGEST_LINE = 2_000
_LONGEST_OUTPUT = 4_000


@dataclass(slots=True)
class _Tail:
    """Implements ``ports.AgentOutput``: the last that a command said."""

    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))
    progress: Progress = Progress()  # noqa: RUF009 - a frozen value
    fatal: str | None = None

    def feed(self, line: str) -> tuple[Happening, ...]:
        """Keep the line."""
        self.lines.append(line.rstrip("\n")[:_LONGEST_LINE])
        return (Output(line),) if line.strip() else ()

    def verdict(self, ended: ProcessEnded) -> Verdict:
        """Exit code 0 in time is success."""
        fails = ended.exit_code != 0 or ended.stopped is not None
        return Verdict(Reason.AGENT_FAILED if fails else None, Usage())

    @property
    def text(self) -> str:
        """Its last lines."""
        return "\n".join(self.lines)[-_LONGEST_OUTPUT:]


@dataclass(frozen=True, slots=True)
class Failed:
    """A command that failed: ``how`` is a clause for people, ``output`` its last words."""

    script: str
    how: str
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Runs scripts to their end, one after another; what they say is kept like an agent's."""

    execution: Execution
    find_shell: Callable[[], Shell]
    redact: Callable[[str], str]

    async def run(
        self, task: AgentTask, part: str, script: str, *, timeout_seconds: float
    ) -> Failed | None:
        """Run a script in the task's workspace; None if it left with 0. Raises ExecutionError."""
        task = replace(task, part=part, prompt="", resume=None)
        tail = _Tail()
        ended = await self.execution.run(
            task,
            self.find_shell().command(task, script),
            Limits(timeout_seconds, timeout_seconds),
            tail,
            _nothing_to_tell,
        )
        if tail.verdict(ended).reason is None:
            _log.info("%s of attempt %d is done", part, task.attempt)
            return None
        how = _how(ended, timeout_seconds)
        _log.warning("%s of attempt %d %s", part, task.attempt, how)
        return Failed(script, how, self.redact(tail.text))


def task_of(run: Run, workspace: Workspace, runs_directory: Path) -> AgentTask:
    """What is run for the run's latest attempt in a workspace of it; nothing is asked of it yet."""
    return AgentTask(
        run_id=run.id,
        attempt=run.attempt,
        issue=run.issue,
        workspace=workspace.path,
        scratch=scratch_of(run, run.attempt, runs_directory),
        prompt="",
    )


def scratch_of(run: Run, attempt: int, runs_directory: Path) -> Path:
    """The directory of an attempt's own."""
    return runs_directory / run.id / str(attempt) / "scratch"


def _how(ended: ProcessEnded, timeout_seconds: float) -> str:
    match ended.stopped:
        case None:
            return f"failed with exit code {ended.exit_code}"
        case Stop.OUT_OF_MEMORY:
            return "was killed: it needed more memory than execution.memory_max_bytes"
        case _:
            return f"was ended: it took longer than {timeout_seconds:g} s"


def _nothing_to_tell(_: Progress) -> None:
    """The agent's numbers stay what they are."""
