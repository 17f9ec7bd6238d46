"""What follows an attempt that ended without success: a pure choice.

Another try costs money: only what may end differently next time is tried again. What only has
to wait for the model's API is no fault of the attempt, and does not count as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from itertools import takewhile

from claude_flow.model.failures import FailureKind, ModelFailure
from claude_flow.model.run import Attempt, Reason, Run

# Of every pause up to this share is left out by chance, so that what failed together does not
# come back together.
_JITTER = 0.25
# A limit's end is told by another clock, and many wait for it.
_AFTER_RESET_SECONDS = 5.0
_AFTER_RESET_SPREAD_SECONDS = 30.0
_FIRST_WAIT_SECONDS = 60.0
_LONGEST_WAIT_SECONDS = 900.0


class Remedy(Enum):
    """What helps against a failure."""

    RETRY = auto()
    """It may go better next time."""
    WAIT = auto()
    """It goes better once the model's API lets us: the attempt does not count."""
    NONE = auto()
    """It would end the same way again."""


# A reason that is not here has no remedy.
_OF_REASONS = {
    Reason.AGENT_FAILED: Remedy.RETRY,
    Reason.TIMED_OUT: Remedy.RETRY,
    Reason.STALLED: Remedy.RETRY,
}
# Where more is known of an agent that failed.
_OF_FAILURES = {
    FailureKind.REFUSED_KEY: Remedy.NONE,
    FailureKind.FORBIDDEN: Remedy.NONE,
    FailureKind.BAD_REQUEST: Remedy.NONE,
    FailureKind.USAGE_LIMIT: Remedy.WAIT,
    FailureKind.OVERLOADED: Remedy.WAIT,
    FailureKind.UNREACHABLE: Remedy.WAIT,
    FailureKind.TURN_LIMIT: Remedy.RETRY,
    FailureKind.BUDGET: Remedy.NONE,
    FailureKind.WORKFLOW_FILE: Remedy.NONE,
    FailureKind.VERIFY: Remedy.NONE,
}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how fast a run is tried again; the pause doubles per attempt.

    ``model_wait_seconds`` is how long after its first wait for the model a run waits again.
    """

    max_attempts: int
    backoff_seconds: float
    backoff_max_seconds: float
    model_wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Start attempt ``number`` after ``delay_seconds``; ``waits_for`` is what it waits for."""

    number: int
    delay_seconds: float
    waits_for: FailureKind | None = None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the run for ``reason``; ``why`` says more where the reason does not tell."""

    reason: Reason
    why: str | None = None


def remedy(reason: Reason | None, failure: FailureKind | None) -> Remedy:
    """What helps against an attempt's failure."""
    if reason is Reason.AGENT_FAILED and failure is not None:
        return _OF_FAILURES[failure]
    return Remedy.NONE if reason is None else _OF_REASONS.get(reason, Remedy.NONE)


def after_attempt(
    run: Run, failure: ModelFailure | None, policy: RetryPolicy, *, now: datetime, draw: float
) -> TryAgain | GiveUp:
    """What follows the latest attempt of ``run``, which has ended without success.

    ``failure`` is that attempt's; ``draw`` is a random number from 0 up to, but not, 1.
    """
    latest = run.attempts[-1]
    reason = latest.reason or Reason.AGENT_FAILED
    match remedy(reason, latest.failure):
        case Remedy.WAIT:
            return _wait(run, failure, policy, now, draw)
        case Remedy.RETRY:
            counted = sum(not _waited(attempt) for attempt in run.attempts)
            if counted >= policy.max_attempts:
                return GiveUp(Reason.ATTEMPTS_EXHAUSTED)
            pause = _doubled(policy.backoff_seconds, counted, policy.backoff_max_seconds)
            return TryAgain(latest.number + 1, pause * (1 - _JITTER * draw))
        case Remedy.NONE:
            return GiveUp(reason)


def _wait(
    run: Run, failure: ModelFailure | None, policy: RetryPolicy, now: datetime, draw: float
) -> TryAgain | GiveUp:
    latest = run.attempts[-1]
    waits = _latest_waits(run.attempts)
    resets_at = None if failure is None else failure.resets_at
    if resets_at is not None and resets_at > now:
        until_reset = (resets_at - now).total_seconds()
        delay = until_reset + _AFTER_RESET_SECONDS + _AFTER_RESET_SPREAD_SECONDS * draw
    else:
        pause = _doubled(_FIRST_WAIT_SECONDS, len(waits), _LONGEST_WAIT_SECONDS)
        delay = pause * (1 - _JITTER * draw)
    waits_since = waits[0].ended_at or now
    if now + timedelta(seconds=delay) > waits_since + timedelta(seconds=policy.model_wait_seconds):
        return GiveUp(
            latest.reason or Reason.AGENT_FAILED,
            "It would have to wait for the model longer than claude_flow.model_wait_seconds allows",
        )
    return TryAgain(latest.number + 1, delay, latest.failure)


def _latest_waits(attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    """The row of attempts up to the latest that only had to wait, the earliest first."""
    return [*takewhile(_waited, reversed(attempts))][::-1]


def _waited(attempt: Attempt) -> bool:
    return remedy(attempt.reason, attempt.failure) is Remedy.WAIT


def _doubled(first: float, count: int, longest: float) -> float:
    """``first``, twice that, and so on; the count begins with 1."""
    return float(min(first * 2.0 ** min(count - 1, 60), longest))
