"""What the daemon is doing right now, as one value: the answer of ``GET /api/v1/state``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from claude_flow.model.run import Run, RunState, to_rfc3339
from claude_flow.ports import Progress, RateLimit


@dataclass(frozen=True, slots=True)
class RunningRun:
    """A running run, what its agent last said and how many seconds the attempt has taken."""

    run: Run
    progress: Progress
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The run's JSON and its live numbers."""
        return {
            **self.run.to_json(),
            **progress_json(self.progress),
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of the service.

    ``web_url`` is where people read issues (``https://github.com``). ``counts`` holds all runs
    ever recorded, by state. ``queue`` is in the order of its start as far as known.
    ``held`` are the repositories whose issues are not taken for now, and why.
    """

    at: datetime
    version: str
    web_url: str
    repositories: tuple[str, ...]
    max_concurrent_runs: int
    uptime_seconds: float
    next_poll_seconds: float | None = None
    counts: Mapping[RunState, int] = field(default_factory=dict)
    running: tuple[RunningRun, ...] = ()
    queue: tuple[Run, ...] = ()
    rate_limit: RateLimit | None = None
    held: Mapping[str, str] = field(default_factory=dict)

    def count(self, state: RunState) -> int:
        """How many runs are in ``state``."""
        return self.counts.get(state, 0)

    def to_json(self) -> dict[str, Any]:
        """The contract's state."""
        return {
            "at": to_rfc3339(self.at),
            "version": self.version,
            "repositories": list(self.repositories),
            "max_concurrent_runs": self.max_concurrent_runs,
            "uptime_seconds": round(self.uptime_seconds, 1),
            "next_poll_seconds": _rounded(self.next_poll_seconds),
            "counts": {state.value: self.count(state) for state in RunState},
            "running": [running.to_json() for running in self.running],
            "queue": [run.to_json() for run in self.queue],
            "held": dict(self.held),
            "rate_limit": _rate_limit_json(self.rate_limit),
        }


def progress_json(progress: Progress) -> dict[str, Any]:
    """An agent's progress; what it did not say is null."""
    return {
        "turns": progress.usage.turns,
        "tokens": progress.usage.tokens,
        "cost_usd": progress.usage.cost_usd,
        "last_event": progress.last_event,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _rate_limit_json(rate_limit: RateLimit | None) -> dict[str, Any] | None:
    if rate_limit is None:
        return None
    return {
        "limit": rate_limit.limit,
        "remaining": rate_limit.remaining,
        "resets_at": to_rfc3339(rate_limit.resets_at),
    }
