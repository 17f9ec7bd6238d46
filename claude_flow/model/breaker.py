"""Whether a repository's runs keep failing for one cause: a pure judgement over their record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from claude_flow.model.run import Reason, Run

# How a run that an agent worked on can fail. What people did (cancelled, closed, an untrusted
# edit) and what a budget stopped says nothing about the next run.
_FAILURES = frozenset(
    {
        Reason.AGENT_FAILED,
        Reason.PERMISSION_DENIED,
        Reason.TIMED_OUT,
        Reason.STALLED,
        Reason.PUBLISH_REJECTED,
    }
)
_SOUND = frozenset({Reason.PULL_REQUEST_OPENED, Reason.PULL_REQUEST_UPDATED, Reason.NO_CHANGES})


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """After ``failures`` equal ones in a row a repository pauses; None: never."""

    failures: int | None
    pause_seconds: float


@dataclass(frozen=True, slots=True)
class Breaker:
    """An open one: ``failures`` runs in a row failed as ``cause`` says; it closes at ``until``."""

    cause: str
    failures: int
    until: datetime

    @property
    def why(self) -> str:
        """One sentence for operators and for the issue."""
        return (
            f"{self.failures} runs in a row have failed here as {self.cause.replace('_', ' ')}, so "
            f"no further issue is taken until {self.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC, or "
            "until a run succeeds that an operator starts by claude-flowctl runs retry"
        )


def open_breaker(ended: Iterable[Run], policy: BreakerPolicy, now: datetime) -> Breaker | None:
    """The breaker that one repository's ended runs have opened, None while it is closed.

    A run that succeeds closes it, and so does time; then one more equal failure opens it again.
    """
    if policy.failures is None:
        return None
    latest = _telling(ended)[: policy.failures]
    causes = {_cause(run) for run in latest}
    if len(latest) < policy.failures or len(causes) != 1:
        return None
    cause = causes.pop()
    until = _ended_at(latest[0]) + timedelta(seconds=policy.pause_seconds)
    return None if cause is None or now >= until else Breaker(cause, policy.failures, until)


def is_failure(run: Run) -> bool:
    """Whether an ended run counts towards a breaker."""
    return _cause(run) is not None


def _telling(ended: Iterable[Run]) -> Sequence[Run]:
    """Those that say something about the next run, the latest first."""
    telling = [run for run in ended if run.reason in _SOUND or is_failure(run)]
    return sorted(telling, key=_ended_at, reverse=True)


def _cause(run: Run) -> str | None:
    """What a failed run failed for, None for any other run."""
    latest = run.attempts[-1] if run.attempts else None
    reason = run.reason
    if reason is Reason.ATTEMPTS_EXHAUSTED and latest is not None:
        reason = latest.reason
    if reason not in _FAILURES:
        return None
    return str(latest.failure if latest is not None and latest.failure else reason)


def _ended_at(run: Run) -> datetime:
    return run.ended_at or run.created_at
