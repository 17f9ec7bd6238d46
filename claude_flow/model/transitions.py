"""What may happen to a run: pure functions from a run and an event to the next run.

Every event may arrive twice (a step repeated after a crash); the second changes nothing. A
final run never changes again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from claude_flow.model.failures import FailureKind
from claude_flow.model.run import Attempt, Phase, Reason, Run, RunState, Usage

_SUCCESS = frozenset({Reason.PULL_REQUEST_OPENED, Reason.PULL_REQUEST_UPDATED})
_CANCELLED = frozenset({Reason.CANCELLED_BY_USER, Reason.ISSUE_CLOSED})
# What was cut short is worth going on with. What failed by itself may have failed for what it
# left behind, and begins anew.
_CUT_SHORT = frozenset({Reason.TIMED_OUT, Reason.STALLED, Reason.BUDGET_EXCEEDED})
_CUT_SHORT_BY = frozenset(
    {
        FailureKind.USAGE_LIMIT,
        FailureKind.OVERLOADED,
        FailureKind.UNREACHABLE,
        FailureKind.TURN_LIMIT,
    }
)


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """Attempt ``number`` (from 1) began at ``at``."""

    number: int
    at: datetime


@dataclass(frozen=True, slots=True)
class PhaseEntered:
    """The current attempt entered ``phase``."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """Attempt ``number`` ended for ``reason``; ``exit_code`` is None if no agent ran.

    ``failure`` says what stood in the agent's way where more is known than the reason,
    ``session_id`` names a session of the agent's that can be gone on with.
    """

    number: int
    reason: Reason
    at: datetime
    exit_code: int | None = None
    usage: Usage = field(default_factory=Usage)
    detail: str | None = None
    failure: FailureKind | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run is over for ``reason``."""

    reason: Reason
    at: datetime
    pull_request: str | None = None
    detail: str | None = None


RunEvent = AttemptStarted | PhaseEntered | AttemptEnded | RunEnded


def apply(run: Run, event: RunEvent) -> Run:
    """The run after ``event``."""
    if run.state.is_final:
        return run
    match event:
        case AttemptStarted():
            return _attempt_started(run, event)
        case PhaseEntered():
            return replace(run, phase=event.phase) if run.state is RunState.RUNNING else run
        case AttemptEnded():
            return _attempt_ended(run, event)
        case RunEnded():
            return replace(
                run,
                state=final_state(event.reason),
                phase=None,
                reason=event.reason,
                detail=event.detail or run.detail,
                pull_request=event.pull_request or run.pull_request,
                ended_at=event.at,
            )
        case _:
            assert_never(event)


def _attempt_started(run: Run, event: AttemptStarted) -> Run:
    if event.number < run.attempt:
        return run
    known = event.number == run.attempt
    if known and run.attempts[-1].ended_at is not None:
        return run
    attempts = run.attempts if known else (*run.attempts, Attempt(event.number, event.at))
    return replace(
        run,
        state=RunState.RUNNING,
        phase=Phase.PREPARING,
        attempts=attempts,
        started_at=run.started_at or event.at,
    )


def _attempt_ended(run: Run, event: AttemptEnded) -> Run:
    if event.number != run.attempt or run.attempts[-1].ended_at is not None:
        return run
    ended = replace(
        run.attempts[-1],
        ended_at=event.at,
        reason=event.reason,
        exit_code=event.exit_code,
        usage=event.usage,
        failure=event.failure,
        session_id=event.session_id,
    )
    return replace(
        run,
        state=RunState.QUEUED,
        phase=None,
        attempts=(*run.attempts[:-1], ended),
        detail=event.detail or run.detail,
    )


def carries_on(run: Run) -> bool:
    """Whether the run's latest attempt begins with what the one before it left."""
    earlier = run.attempts[:-1]
    if not earlier:
        return False
    return earlier[-1].reason in _CUT_SHORT or earlier[-1].failure in _CUT_SHORT_BY


def final_state(reason: Reason) -> RunState:
    """The state of a run that ended for ``reason``."""
    if reason in _SUCCESS:
        return RunState.SUCCEEDED
    if reason in _CANCELLED:
        return RunState.CANCELLED
    return RunState.FAILED
