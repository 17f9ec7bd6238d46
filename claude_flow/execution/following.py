"""What every backend does with a running attempt: it reads along, and says how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Self, TypeVar

from claude_flow.errors import ExecutionError, LeaseLostError
from claude_flow.execution.event_log import EventLog
from claude_flow.execution.lease import FileLease
from claude_flow.execution.logs import LogTail, last_text, size
from claude_flow.execution.refusals import Refusals
from claude_flow.execution.spec import LEASE_LOST, AttemptFiles, AttemptResult
from claude_flow.ports import AgentOutput, AgentTask, ProcessEnded, Progress, Stop

OVERDUE_SECONDS = 60.0
"""Beyond its time-out an attempt's watcher needs less than this to end it."""

_STDERR_TAIL_BYTES = 4096
_TOLD_BY_RESULT: dict[str | None, Stop] = {
    why.value: why for why in (Stop.TIMED_OUT, Stop.STALLED, Stop.OUT_OF_MEMORY)
}
_Ended = TypeVar("_Ended")


@dataclass(frozen=True, slots=True)
class Marks:
    """Where in its logs an execution begins, in bytes; before lies what an earlier one wrote."""

    stdout: int
    stderr: int
    runner: int
    refusals: int = 0

    @classmethod
    def at_the_end(cls, files: AttemptFiles) -> Self:
        """Behind all that is there now."""
        looked_at = (files.stdout, files.stderr, files.runner, files.refusals)
        return cls(*map(size, looked_at))


class Follower:
    """Reads what the agent writes while it runs and stops it where going on is pointless.

    Also where it still runs after ``longest_seconds``: its watcher, which an agent of the same
    user can stop or deceive, should have ended it before.
    """

    def __init__(
        self,
        files: AttemptFiles,
        begun: Marks,
        output: AgentOutput,
        on_progress: Callable[[Progress], None],
        events: EventLog,
        poll_seconds: float,
        longest_seconds: float,
        refusals: Refusals | None = None,
    ) -> None:
        self._files = files
        self._begun = begun
        self._output = output
        self._on_progress = on_progress
        self._events = events
        self._poll_seconds = poll_seconds
        self._longest_seconds = longest_seconds
        self._refusals = refusals
        self._tail = LogTail(files.stdout, offset=begun.stdout)
        self._told: Progress | None = None
        self._gave_up: Stop | None = None

    async def follow(self, ended: asyncio.Future[_Ended], give_up: Callable[[], object]) -> None:
        """Feed the output until ``ended``; ``give_up`` is called once and has to end it."""
        loop = asyncio.get_running_loop()
        overdue_at = loop.time() + self._longest_seconds
        try:
            while not ended.done():
                begun_at = loop.time()
                more = self._read()
                took_seconds = loop.time() - begun_at
                if self._gave_up is None:
                    self._gave_up = self._pointless(is_overdue=loop.time() >= overdue_at)
                    if self._gave_up is not None:
                        give_up()
                # In a flood no more than half of the loop's time: it is all attempts'.
                pause = took_seconds if more else self._poll_seconds
                await asyncio.wait({ended}, timeout=pause)
        finally:
            ended.cancel()

    def _pointless(self, *, is_overdue: bool) -> Stop | None:
        if self._output.fatal is not None:
            return Stop.FATAL
        return Stop.TIMED_OUT if is_overdue else None

    def read_rest(self) -> None:
        """Feed what came last."""
        while self._read():
            pass
        self._feed(self._tail.rest())

    def _read(self) -> bool:
        lines = self._tail.lines()
        self._feed(lines)
        if self._refusals is not None:
            self._events.note(self._refusals.read())
        return bool(lines)

    def _feed(self, lines: list[str]) -> None:
        self._events.note(told for line in lines for told in self._output.feed(line))
        progress = self._output.progress
        if progress != self._told:
            self._told = progress
            self._on_progress(progress)

    @contextmanager
    def telling_if_cut_short(self) -> Iterator[None]:
        """Have the events say so if it comes to no end of its own inside."""
        try:
            yield
        except asyncio.CancelledError:
            self.cut_short("the run was cancelled, or the service ended")
            raise
        except (ExecutionError, LeaseLostError) as error:
            self.cut_short(str(error))
            raise

    def cut_short(self, why: str) -> None:
        """Feed what came last; that is the end, and why is the last event."""
        self.read_rest()
        self._events.cut_short(why)

    def ended(
        self, result: AttemptResult, started_at: datetime, ended_at: datetime
    ) -> ProcessEnded:
        """How it ended, in the port's words; that is the last event."""
        ended = ProcessEnded(
            exit_code=result.exit_code,
            # Somebody else's SIGTERM is no judgement of ours: the exit code tells it.
            stopped=self._gave_up or _TOLD_BY_RESULT.get(result.stopped),
            started_at=started_at,
            ended_at=ended_at,
            stderr_tail=last_text(
                self._files.stderr, since=self._begun.stderr, limit_bytes=_STDERR_TAIL_BYTES
            ),
        )
        self._events.end(self._output.verdict(ended), ended)
        return ended


def require_lease_of(result: AttemptResult, lease: FileLease | None, *, since: float) -> None:
    """Raise LeaseLostError if the execution was ended for want of the lease.

    ``since`` is when it began, by the lease's clock: an agent that is its watcher's own user can
    write such an end down, but cannot have the lease lapse.
    """
    if result.stopped == LEASE_LOST and lease is not None and lease.has_lapsed_since(since):
        raise lease.lost("the attempt")


def require_end_of(left: Sequence[int], task: AgentTask) -> None:
    """Raise ExecutionError if processes of the task's run could not be ended."""
    if left:
        raise ExecutionError(
            f"processes {list(left)} of run {task.run_id} do not end, not even by SIGKILL",
            hint="they hang in the kernel or belong to another user: look at the host's disks "
            "and mounts, and at what the agent may start as another user",
        )
