"""Whatever happens to a run, and however often."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.model.failures import FailureKind
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Phase, Reason, Run, RunState, Trigger, TriggerKind, Usage
from claude_flow.model.transitions import (
    AttemptEnded,
    AttemptStarted,
    PhaseEntered,
    RunEnded,
    RunEvent,
    apply,
    carries_on,
    final_state,
)

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NEW = Run.queued(IssueRef.parse("acme/widgets#7"), Trigger(TriggerKind.LABEL, "1"), NOW)
MOMENTS = st.integers(0, 1000).map(lambda seconds: NOW + timedelta(seconds=seconds))
NUMBERS = st.integers(1, 4)
EVENTS: st.SearchStrategy[RunEvent] = st.one_of(
    st.builds(AttemptStarted, NUMBERS, MOMENTS),
    st.builds(PhaseEntered, st.sampled_from(Phase)),
    st.builds(
        AttemptEnded,
        NUMBERS,
        st.sampled_from(Reason),
        MOMENTS,
        st.none() | st.integers(0, 255),
        st.builds(Usage, st.none() | st.integers(0, 9)),
        st.none() | st.just("detail"),
        st.none() | st.sampled_from(FailureKind),
        st.none() | st.just("session"),
    ),
    st.builds(RunEnded, st.sampled_from(Reason), MOMENTS, st.none() | st.just("url")),
)
HISTORIES = st.lists(EVENTS, max_size=12)


def after(events: list[RunEvent]) -> Run:
    run = NEW
    for event in events:
        run = apply(run, event)
    return run


@given(HISTORIES, EVENTS)
def test_an_event_told_twice_changes_nothing_more(history: list[RunEvent], event: RunEvent) -> None:
    once = apply(after(history), event)
    assert apply(once, event) == once


@given(HISTORIES, st.sampled_from(Reason), HISTORIES)
def test_what_is_final_stays(before: list[RunEvent], reason: Reason, later: list[RunEvent]) -> None:
    ended = after([*before, RunEnded(reason, NOW)])
    assert ended.state.is_final
    assert after([*before, RunEnded(reason, NOW), *later]) == ended


@given(HISTORIES)
def test_a_run_is_always_sound(history: list[RunEvent]) -> None:
    run = after(history)
    assert (run.reason is not None) == run.state.is_final == (run.ended_at is not None)
    assert (run.phase is not None) == (run.state is RunState.RUNNING)
    numbers = [attempt.number for attempt in run.attempts]
    assert numbers == sorted(set(numbers))
    assert (run.started_at is None) == (run.attempts == ())
    for attempt in run.attempts:
        assert (attempt.reason is None) == (attempt.ended_at is None)
    if run.reason is not None:
        assert run.state is final_state(run.reason)


@given(HISTORIES, EVENTS)
def test_the_attempts_number_never_falls(history: list[RunEvent], event: RunEvent) -> None:
    run = after(history)
    assert apply(run, event).attempt >= run.attempt


def test_an_attempt_resumed_after_a_crash_is_the_same_attempt() -> None:
    run = after([AttemptStarted(1, NOW), PhaseEntered(Phase.EXECUTING)])
    resumed = apply(run, AttemptStarted(1, NOW + timedelta(hours=1)))
    assert len(resumed.attempts) == 1
    assert resumed.attempts[0].started_at == NOW
    assert resumed.phase is Phase.PREPARING


def test_between_two_attempts_a_run_is_queued() -> None:
    run = after([AttemptStarted(1, NOW), AttemptEnded(1, Reason.STALLED, NOW, 143)])
    assert (run.state, run.phase, run.reason) == (RunState.QUEUED, None, None)
    assert run.attempts[0].reason is Reason.STALLED


@pytest.mark.parametrize("reason", Reason)
def test_what_was_cut_short_is_carried_on(reason: Reason) -> None:
    first = after([AttemptStarted(1, NOW), AttemptEnded(1, reason, NOW)])
    assert not carries_on(first)
    second = apply(first, AttemptStarted(2, NOW))
    assert carries_on(second) is (
        reason in {Reason.TIMED_OUT, Reason.STALLED, Reason.BUDGET_EXCEEDED}
    )


@pytest.mark.parametrize("failure", FailureKind)
def test_an_agent_that_was_stopped_from_outside_is_carried_on(failure: FailureKind) -> None:
    first = AttemptEnded(1, Reason.AGENT_FAILED, NOW, failure=failure)
    second = after([AttemptStarted(1, NOW), first, AttemptStarted(2, NOW)])
    assert carries_on(second) is (
        failure
        in {
            FailureKind.USAGE_LIMIT,
            FailureKind.OVERLOADED,
            FailureKind.UNREACHABLE,
            FailureKind.TURN_LIMIT,
        }
    )


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_final_state(reason: Reason) -> None:
    state = final_state(reason)
    assert state.is_final
    assert (state is RunState.SUCCEEDED) == (str(reason).startswith("pull_request_"))
    assert (state is RunState.CANCELLED) == (reason in {"cancelled_by_user", "issue_closed"})
