"""What tests of attempts share: a task, what listens to its agent, a wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from claude_flow.model.events import Happening, Output
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Reason, Usage
from claude_flow.ports import AgentTask, Limits, ProcessEnded, Progress, Verdict

AMPLE = Limits(timeout_seconds=60, stall_timeout_seconds=60)
RUN_ID = "widgets-7-0123456789"
STOPS_ITS_WATCHER = """\
kill -STOP $(cut -d ' ' -f 4 /proc/$PPID/stat) $PPID
exec sleep 600
"""
"""A shell's script that takes ``claude-flow-run``, of its own user, out of its way."""

_LOOK_SECONDS = 0.01
_LOOKS = 6000


class Lines:
    """An ``AgentOutput`` that only keeps the lines."""

    progress = Progress()
    fatal = None

    def __init__(self) -> None:
        self.lines: list[str] = []

    def feed(self, line: str) -> tuple[Happening, ...]:
        """Keep it."""
        self.lines.append(line)
        return (Output(line),)

    def verdict(self, ended: ProcessEnded) -> Verdict:
        """By the exit code alone."""
        return Verdict(Reason.AGENT_FAILED if ended.exit_code else None, Usage())


def ignore(_: Progress) -> None:
    """Hear of progress and do nothing."""


def first_task(workspace: Path, scratch: Path, run_id: str = RUN_ID) -> AgentTask:
    """The first attempt of a run."""
    return AgentTask(run_id, 1, IssueRef.parse("octo/widgets#7"), workspace, scratch, "do it")


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, a minute at most. Raises TimeoutError."""
    for _ in range(_LOOKS):
        if condition():
            return
        await asyncio.sleep(_LOOK_SECONDS)
    raise TimeoutError("waited for nothing")
