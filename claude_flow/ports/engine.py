"""The durable queue and the record of runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from claude_flow.model.issue import IssueRef, Repository
from claude_flow.model.run import Run, RunState
from claude_flow.model.transitions import RunEvent


class Steps(Protocol):
    """The durable steps of one attempt: each is done once and its answer is kept."""

    async def step(
        self, name: str, do: Callable[[], Awaitable[Any]], *, interruptible: bool = False
    ) -> Any:
        """Do ``do`` unless this attempt already did the step ``name``; give its answer.

        Answers are JSON values. A crash in the middle does the step again, so ``do`` must
        bear that. An ``interruptible`` step gets ``asyncio.CancelledError`` at once when the
        run is cancelled or the daemon stops; others finish first.
        """
        ...


AttemptWorkflow = Callable[[str, int, Steps], Awaitable[None]]
"""Takes a run's id and an attempt's number (from 1) through its steps to its end."""


class Engine(Protocol):
    """The durable queue and the record of all runs."""

    def launch(self, work: AttemptWorkflow) -> None:
        """Open the state, resume what an earlier daemon left, begin to take from the queue.

        Raises StateInUseError if another daemon uses the same state, EngineError if the
        database cannot be used.
        """
        ...

    def close(self, *, grace_seconds: float) -> None:
        """Take no more; wait for running attempts; interrupt those left after the grace.

        An interrupted attempt stays unfinished and is resumed by the next launch.
        """
        ...

    def submit(self, run: Run) -> bool:
        """Record the run and queue its first attempt.

        False, and nothing changed, if this run is known or its issue has another run that is
        not final: across all hosts at most one run per issue is active.
        """
        ...

    def retry(self, run_id: str, number: int, delay_seconds: float) -> None:
        """Queue attempt ``number`` of the run, to start after the delay at the earliest."""
        ...

    def cancel(self, run_id: str) -> bool:
        """Ask for the end of a run; its work gets CancelledError. False if it is final."""
        ...

    def require_lease(self) -> None:
        """Raise LeaseLostError where another host may have this one's work by now."""
        ...

    def is_cancelled(self, run_id: str) -> bool:
        """Whether ``cancel`` was asked for (and not the daemon's own end)."""
        ...

    def apply(self, run_id: str, event: RunEvent) -> Run:
        """Change the record by ``model.transitions.apply`` in one transaction; the new run.

        Raises UsageError for an unknown run.
        """
        ...

    def get(self, run_id: str) -> Run | None:
        """The run, or None."""
        ...

    def runs(
        self,
        *,
        states: Sequence[RunState] = (),
        issue: IssueRef | None = None,
        repository: Repository | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """Runs, newest first; ``states`` empty means all."""
        ...

    def counts(self) -> Mapping[RunState, int]:
        """How many runs were ever recorded, by state; states without runs may be missing."""
        ...

    def spent_usd(self, since: datetime) -> Mapping[str, float]:
        """What attempts that ended since then said they cost, by repository.

        The keys are ``owner/name`` in lower case; repositories without costs may be missing.
        """
        ...

    def worked_on_since(self, since: datetime) -> Iterator[Run]:
        """Runs with an attempt that ended since then, and perhaps others, in no order.

        They are read while they are taken. Raises EngineError then.
        """
        ...

    def set_limits(self, max_concurrent_runs: int, max_concurrent_runs_per_repository: int) -> None:
        """Change the limits; runs beyond a lower one go on to their end. Raises EngineError."""
        ...

    def free_slots(self, repository: Repository | None = None) -> int:
        """How many more runs would start now on this host (in the repository), not wait."""
        ...

    def check(self) -> None:
        """Raise EngineError unless the database answers and the queue is being worked on."""
        ...
