"""The attempts that run in this process, whatever queue they come from.

Here is decided what becomes of an attempt that is cancelled, cut short by the daemon's end, or
broken by a fault of ours; the queue only sees whether its work is done.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from claude_flow.engine.answers import Kept, keep_answer, keep_error, recall
from claude_flow.errors import ClaudeFlowError, EngineError
from claude_flow.model.run import Reason, Run, RunState
from claude_flow.model.transitions import AttemptEnded, RunEnded, RunEvent
from claude_flow.ports import AttemptWorkflow, Clock

logger = logging.getLogger(__name__)

DurableStep = Callable[[str, Callable[[], Awaitable[Kept]]], Awaitable[Kept]]
"""Does the work of a step unless its answer is kept already; raises EngineError if it cannot."""

FatalHandler = Callable[[EngineError], None]


class AttemptRecord(Protocol):
    """What is needed of the record of runs."""

    def get(self, run_id: str) -> Run | None:
        """The run, or None."""
        ...

    def is_cancelled(self, run_id: str) -> bool:
        """Whether a cancel was asked for."""
        ...

    def latest_attempt(self, run_id: str) -> int:
        """The number of the latest attempt that was asked for."""
        ...

    def apply(self, run_id: str, event: RunEvent) -> Run:
        """Change the run."""
        ...


@dataclass(eq=False)
class _Attempt:
    run_id: str
    number: int
    loop: asyncio.AbstractEventLoop
    cancelled: bool = False
    interruptible: set[asyncio.Task[Any]] = field(default_factory=set)

    def interrupt(self) -> None:
        for task in tuple(self.interruptible):
            task.cancel()


class Attempts:
    """All attempts of this process; ``drive`` runs on their loop, the rest on any thread.

    ``require_lease`` raises EngineError where another host may have this one's work by now.
    """

    def __init__(
        self,
        record: AttemptRecord,
        clock: Clock,
        on_fatal: FatalHandler,
        require_lease: Callable[[], None] = lambda: None,
    ) -> None:
        self._record = record
        self._clock = clock
        self._on_fatal = on_fatal
        self.require_lease = require_lease
        self._changed = threading.Condition()
        self._running: set[_Attempt] = set()
        self._accepting = True
        self.interrupted = False

    @property
    def run_ids(self) -> list[str]:
        """The runs being worked on here."""
        with self._changed:
            return [attempt.run_id for attempt in self._running]

    async def drive(
        self, run_id: str, number: int, work: AttemptWorkflow, durable: DurableStep
    ) -> None:
        """Take one attempt to its end.

        Returns when the attempt needs no more work. Raises CancelledError, or never returns,
        when the attempt has to be resumed by a later launch.
        """
        attempt = _Attempt(run_id, number, asyncio.get_running_loop())
        if not self._enter(attempt):
            await _park()
        try:
            await self._work_off(attempt, work, durable)
        except EngineError as error:
            await self.give_up(attempt, error)
        finally:
            self._leave(attempt)

    def cancel(self, run_id: str) -> None:
        """Interrupt the run's attempt, if it is here: its user does not want it any more."""
        for attempt in self._of(run_id):
            attempt.loop.call_soon_threadsafe(_cancel, attempt)

    def stop_accepting(self) -> None:
        """Let attempts that the queue still hands over wait for the next launch."""
        with self._changed:
            self._accepting = False

    def wait_until_idle(self, timeout_seconds: float) -> bool:
        """Whether all attempts ended in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, timeout_seconds)

    def interrupt(self) -> None:
        """Cut all attempts short: interruptible steps now, others when they are done."""
        self.interrupted = True
        with self._changed:
            attempts = tuple(self._running)
        for attempt in attempts:
            attempt.loop.call_soon_threadsafe(attempt.interrupt)

    async def give_up(self, attempt: _Attempt, error: EngineError) -> None:
        """Without a database nothing can be kept: tell the daemon to end, and wait for that."""
        logger.critical("run %s cannot go on: %s", attempt.run_id, error)
        self._leave(attempt)
        self._on_fatal(error)
        await _park()

    async def _work_off(
        self, attempt: _Attempt, work: AttemptWorkflow, durable: DurableStep
    ) -> None:
        # In threads: a record that waits for its database must not stop the loop.
        run = await asyncio.to_thread(self._record.get, attempt.run_id)
        if run is None or run.state.is_final:
            return  # cancelled while it waited
        if await asyncio.to_thread(self._record.is_cancelled, attempt.run_id):
            attempt.cancelled = True
        try:
            await work(attempt.run_id, attempt.number, AttemptSteps(self, attempt, durable))
        except asyncio.CancelledError:
            if self.interrupted or not attempt.cancelled:
                raise
            ended = RunEnded(Reason.CANCELLED_BY_USER, self._clock())
            await asyncio.to_thread(self._record.apply, attempt.run_id, ended)
        except EngineError:
            raise
        except Exception as error:  # whatever it is, the run must not hang
            logger.exception("run %s: attempt %d broke", attempt.run_id, attempt.number)
            detail = f"internal error: {_describe(error)}"
            await asyncio.to_thread(self.fail, attempt.run_id, attempt.number, detail)
        else:
            await asyncio.to_thread(self._require_outcome, attempt)

    def _require_outcome(self, attempt: _Attempt) -> None:
        run = self._record.get(attempt.run_id)
        if run is None or run.state.is_final:
            return
        if self._record.latest_attempt(attempt.run_id) > attempt.number:
            return
        logger.error("run %s: attempt %d left no outcome", attempt.run_id, attempt.number)
        self.fail(attempt.run_id, attempt.number, "internal error: the attempt left no outcome")

    def fail(self, run_id: str, number: int, detail: str) -> None:
        """End a run that nothing works on any more. Raises EngineError."""
        run = self._record.get(run_id)
        if run is None or run.state.is_final:
            return
        at = self._clock()
        if run.state is RunState.RUNNING:
            ended = AttemptEnded(number, Reason.AGENT_FAILED, at, detail=detail)
            self._record.apply(run_id, ended)
        self._record.apply(run_id, RunEnded(Reason.AGENT_FAILED, at, detail=detail))

    def _enter(self, attempt: _Attempt) -> bool:
        with self._changed:
            if self._accepting:
                self._running.add(attempt)
            return self._accepting

    def _leave(self, attempt: _Attempt) -> None:
        with self._changed:
            self._running.discard(attempt)
            self._changed.notify_all()

    def _of(self, run_id: str) -> list[_Attempt]:
        with self._changed:
            return [attempt for attempt in self._running if attempt.run_id == run_id]


class AttemptSteps:
    """The ``Steps`` of one attempt."""

    def __init__(self, attempts: Attempts, attempt: _Attempt, durable: DurableStep) -> None:
        self._attempts = attempts
        self._attempt = attempt
        self._durable = durable
        self._known: dict[str, Kept] = {}
        self._raised: dict[str, ClaudeFlowError] = {}

    async def step(
        self, name: str, do: Callable[[], Awaitable[Any]], *, interruptible: bool = False
    ) -> Any:
        """See ``claude_flow.ports.Steps``.

        An error of this package is kept like an answer and raised again on a resume.
        """
        if name not in self._known:
            self._known[name] = await self._do(name, do, interruptible=interruptible)
        if name in self._raised:
            raise self._raised[name]
        return recall(self._known[name])

    async def _do(
        self, name: str, do: Callable[[], Awaitable[Any]], *, interruptible: bool
    ) -> Kept:
        if self._attempts.interrupted:
            raise asyncio.CancelledError

        async def perform() -> Kept:
            try:
                self._attempts.require_lease()
                return keep_answer(name, await self._perform(do, interruptible=interruptible))
            except EngineError as error:
                raise _NotKeptError(error) from error
            except ClaudeFlowError as error:
                self._raised[name] = error
                return keep_error(error)
            except Exception as error:
                raise _NotKeptError(error) from error

        try:
            return await self._durable(name, perform)
        except _NotKeptError as failed:
            raise failed.error from None
        except EngineError as error:
            await self._attempts.give_up(self._attempt, error)
            raise

    async def _perform(self, do: Callable[[], Awaitable[Any]], *, interruptible: bool) -> Any:
        if not interruptible:
            return await do()
        if self._attempt.cancelled or self._attempts.interrupted:
            raise asyncio.CancelledError
        task = asyncio.ensure_future(do())
        self._attempt.interruptible.add(task)
        try:
            return await task
        finally:
            self._attempt.interruptible.discard(task)


class _NotKeptError(BaseException):
    """Carries a fault past the queue, which would keep an Exception as the step's answer."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def _cancel(attempt: _Attempt) -> None:
    if attempt.cancelled:
        return  # asked for again: what is done about the first must not be cut short
    attempt.cancelled = True
    attempt.interrupt()


def _describe(error: Exception) -> str:
    # Only our own errors promise to hold no secret.
    return str(error) if isinstance(error, ClaudeFlowError) else type(error).__name__


async def _park() -> None:
    await asyncio.Event().wait()
