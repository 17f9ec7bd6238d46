"""An engine without a database, with the same behaviour as the real one.

What would be on disk is a ``FakeEngineState``: launch a second engine on it to see a resume.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from claude_flow.engine.answers import Kept
from claude_flow.engine.attempts import Attempts
from claude_flow.errors import EngineError, StateInUseError, UsageError
from claude_flow.model import transitions
from claude_flow.model.issue import IssueRef, Repository
from claude_flow.model.run import Reason, Run, RunState, spent_since
from claude_flow.model.transitions import RunEnded, RunEvent
from claude_flow.ports import AttemptWorkflow, Clock

_POLL_SECONDS = 0.01
_LAST_STEP_SECONDS = 10.0
_Key = tuple[str, int]


@dataclass
class FakeEngineState:
    """All that outlives an engine. ``unfinished`` maps an attempt to when it may start."""

    runs: dict[str, Run] = field(default_factory=dict)
    latest: dict[str, int] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    unfinished: dict[_Key, float] = field(default_factory=dict)
    steps: dict[_Key, dict[str, Kept]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    in_use: bool = False


class FakeEngine:
    """The ``Engine`` port in memory."""

    def __init__(
        self,
        clock: Clock,
        *,
        max_concurrent_runs: int = 3,
        max_concurrent_runs_per_repository: int = 1,
        state: FakeEngineState | None = None,
    ) -> None:
        self._clock = clock
        self._limits = (max_concurrent_runs, max_concurrent_runs_per_repository)
        self.state = state or FakeEngineState()
        self._fatal: EngineError | None = None
        self._attempts = Attempts(self, clock, self._fail)
        self._running: set[_Key] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread | None = None
        self._taking = False

    def launch(self, work: AttemptWorkflow) -> None:
        """See ``claude_flow.ports.Engine``."""
        with self.state.lock:
            if self.state.in_use:
                raise StateInUseError("this state is held by another engine", hint="close it")
            self.state.in_use = True
        self._taking = True
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(work,), daemon=True)
        self._thread.start()

    def close(self, *, grace_seconds: float) -> None:
        """See ``claude_flow.ports.Engine``."""
        self._taking = False
        self._attempts.stop_accepting()
        if not self._attempts.wait_until_idle(grace_seconds):
            self._attempts.interrupt()
            self._attempts.wait_until_idle(_LAST_STEP_SECONDS)
        self._attempts.interrupted = True
        if self._thread is not None:
            asyncio.run_coroutine_threadsafe(self._end_tasks(), self._loop).result()
            self._thread.join()
            self._thread = None
            self._loop.close()
            self.state.in_use = False

    def submit(self, run: Run) -> bool:
        """See ``claude_flow.ports.Engine``."""
        self._require_launched()
        with self.state.lock:
            if not self._record(run):
                return False
            self.state.latest[run.id] = 1
            self.state.unfinished[run.id, 1] = 0.0
        return True

    def _record(self, run: Run) -> bool:
        with self.state.lock:
            if run.id in self.state.runs:
                return False
            if not run.state.is_final and any(
                not other.state.is_final and _same(other.issue, run.issue)
                for other in self.state.runs.values()
            ):
                return False
            self.state.runs[run.id] = run
            self.state.latest[run.id] = 0
        return True

    def retry(self, run_id: str, number: int, delay_seconds: float) -> None:
        """See ``claude_flow.ports.Engine``."""
        self._require_launched()
        with self.state.lock:
            run = self._known(run_id)
            if run.state.is_final or number <= self.state.latest[run_id]:
                return
            self.state.latest[run_id] = number
            self.state.unfinished[run_id, number] = time.monotonic() + delay_seconds

    def cancel(self, run_id: str) -> bool:
        """See ``claude_flow.ports.Engine``."""
        with self.state.lock:
            run = self.state.runs.get(run_id)
            if run is None or run.state.is_final:
                return False
            self.state.cancelled.add(run_id)
            if run.state is RunState.QUEUED:
                self.apply(run_id, RunEnded(Reason.CANCELLED_BY_USER, self._clock()))
        self._attempts.cancel(run_id)
        return True

    def require_lease(self) -> None:
        """Nobody else could have the work. See ``claude_flow.ports.Engine``."""

    def is_cancelled(self, run_id: str) -> bool:
        """See ``claude_flow.ports.Engine``."""
        return run_id in self.state.cancelled

    def latest_attempt(self, run_id: str) -> int:
        """The number of the latest attempt that was asked for."""
        return self.state.latest[run_id]

    def apply(self, run_id: str, event: RunEvent) -> Run:
        """See ``claude_flow.ports.Engine``."""
        with self.state.lock:
            after = transitions.apply(self._known(run_id), event)
            self.state.runs[run_id] = after
        return after

    def get(self, run_id: str) -> Run | None:
        """See ``claude_flow.ports.Engine``."""
        return self.state.runs.get(run_id)

    def runs(
        self,
        *,
        states: Sequence[RunState] = (),
        issue: IssueRef | None = None,
        repository: Repository | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """See ``claude_flow.ports.Engine``."""
        with self.state.lock:
            found = [
                run
                for run in self.state.runs.values()
                if (not states or run.state in states)
                and (issue is None or _same(run.issue, issue))
                and (repository is None or _repository(run) == str(repository).lower())
            ]
        return sorted(found, key=lambda run: (run.created_at, run.id), reverse=True)[:limit]

    def counts(self) -> dict[RunState, int]:
        """See ``claude_flow.ports.Engine``."""
        with self.state.lock:
            return dict(Counter(run.state for run in self.state.runs.values()))

    def spent_usd(self, since: datetime) -> Mapping[str, float]:
        """See ``claude_flow.ports.Engine``."""
        with self.state.lock:
            return spent_since(since, self.state.runs.values())

    def worked_on_since(
        self,
        since: datetime,  # noqa: ARG002 - it may give others as well
    ) -> Iterator[Run]:
        """See ``claude_flow.ports.Engine``."""
        with self.state.lock:
            return iter(list(self.state.runs.values()))

    def free_slots(self, repository: Repository | None = None) -> int:
        """See ``claude_flow.ports.Engine``."""
        with self.state.lock:
            busy = [
                _repository(run)
                for run in self.state.runs.values()
                if run.state is RunState.RUNNING
                or (run.state is RunState.QUEUED and self.state.latest[run.id] == 1)
            ]
        free = self._limits[0] - len(busy)
        if repository is not None:
            free = min(free, self._limits[1] - busy.count(str(repository).lower()))
        return max(free, 0)

    def set_limits(self, max_concurrent_runs: int, max_concurrent_runs_per_repository: int) -> None:
        """Change the limits while running."""
        self._limits = (max_concurrent_runs, max_concurrent_runs_per_repository)

    def check(self) -> None:
        """See ``claude_flow.ports.Engine``."""
        if self._fatal is not None:
            raise self._fatal
        self._require_launched()

    def _fail(self, error: EngineError) -> None:
        self._fatal = error

    def _require_launched(self) -> None:
        if self._thread is None:
            raise EngineError("the engine is not launched", hint="call launch() first")

    def _known(self, run_id: str) -> Run:
        run = self.state.runs.get(run_id)
        if run is None:
            raise UsageError(f"there is no run {run_id!r}")
        return run

    def _serve(self, work: AttemptWorkflow) -> None:
        asyncio.set_event_loop(self._loop)
        self._tasks.add(self._loop.create_task(self._take(work)))
        self._loop.run_forever()

    async def _take(self, work: AttemptWorkflow) -> None:
        while self._taking:
            with self.state.lock:
                for key in self._startable():
                    self._running.add(key)
                    task = self._loop.create_task(self._drive(key, work))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(_POLL_SECONDS)

    def _startable(self) -> list[_Key]:
        found: list[_Key] = []
        for key, not_before in self.state.unfinished.items():
            busy = [self._repository(other) for other in (*self._running, *found)]
            if (
                key not in self._running
                and not_before <= time.monotonic()
                and len(busy) < self._limits[0]
                and busy.count(self._repository(key)) < self._limits[1]
            ):
                found.append(key)
        return found

    def _repository(self, key: _Key) -> str:
        return _repository(self.state.runs[key[0]])

    async def _drive(self, key: _Key, work: AttemptWorkflow) -> None:
        kept = self.state.steps.setdefault(key, {})

        async def durable(name: str, do: Callable[[], Awaitable[Kept]]) -> Kept:
            if name not in kept:
                kept[name] = await do()
            return kept[name]

        try:
            await self._attempts.drive(*key, work, durable)
        finally:
            self._running.discard(key)
        del self.state.unfinished[key]

    async def _end_tasks(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        self._loop.call_soon(self._loop.stop)


def _same(one: IssueRef, other: IssueRef) -> bool:
    return str(one).lower() == str(other).lower()


def _repository(run: Run) -> str:
    return str(run.issue.repository).lower()
