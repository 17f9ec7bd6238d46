"""What follows an attempt without success, whatever came before it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.model.failures import FailureKind, ModelFailure
from claude_flow.model.issue import IssueRef
from claude_flow.model.retries import GiveUp, Remedy, RetryPolicy, TryAgain, after_attempt, remedy
from claude_flow.model.run import Reason, Run, Trigger, TriggerKind
from claude_flow.model.transitions import AttemptEnded, AttemptStarted, apply

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NEW = Run.queued(IssueRef.parse("acme/widgets#7"), Trigger(TriggerKind.LABEL, "1"), NOW)
HALF_A_DAY = 12 * 3600.0
Ended = tuple[Reason, FailureKind | None]

WAITED = (Reason.AGENT_FAILED, FailureKind.OVERLOADED)
FAILED = (Reason.AGENT_FAILED, None)
DRAWS = st.floats(0, 1, exclude_max=True)
POLICIES = st.builds(
    RetryPolicy, st.integers(1, 9), st.floats(0, 3600), st.floats(0, 86400), st.floats(0, 86400)
)
HISTORIES = st.lists(
    st.tuples(st.sampled_from(Reason), st.none() | st.sampled_from(FailureKind)),
    min_size=1,
    max_size=12,
)


def run_of(history: list[Ended], *, apart: timedelta = timedelta(minutes=1)) -> Run:
    run, at = NEW, NOW
    for number, (reason, failure) in enumerate(history, 1):
        run = apply(run, AttemptStarted(number, at))
        at += apart
        run = apply(run, AttemptEnded(number, reason, at, failure=failure))
    return run


def after(
    history: list[Ended],
    policy: RetryPolicy,
    *,
    draw: float = 0.0,
    resets_at: datetime | None = None,
) -> TryAgain | GiveUp:
    run = run_of(history)
    failure = history[-1][1]
    told = None if failure is None else ModelFailure(failure, None, resets_at)
    now = run.attempts[-1].ended_at
    assert now is not None
    return after_attempt(run, told, policy, now=now, draw=draw)


@given(HISTORIES, POLICIES, DRAWS)
def test_what_follows_an_attempt(history: list[Ended], policy: RetryPolicy, draw: float) -> None:
    helps = [remedy(*ended) for ended in history]
    counted = sum(one is not Remedy.WAIT for one in helps)
    match after(history, policy, draw=draw):
        case TryAgain(number, delay, None):
            assert helps[-1] is Remedy.RETRY
            assert number == len(history) + 1
            assert counted < policy.max_attempts
            assert 0 <= delay <= policy.backoff_max_seconds
        case TryAgain(number, delay, waits_for):
            assert helps[-1] is Remedy.WAIT
            assert (number, waits_for) == (len(history) + 1, history[-1][1])
            assert 0 <= delay <= policy.model_wait_seconds
        case GiveUp(reason, why):
            if helps[-1] is Remedy.RETRY:
                assert reason is Reason.ATTEMPTS_EXHAUSTED
                assert counted >= policy.max_attempts
            else:
                assert reason is history[-1][0]
                assert (why is not None) == (helps[-1] is Remedy.WAIT)


@pytest.mark.parametrize("failure", FailureKind)
def test_only_an_agents_failure_is_looked_into(failure: FailureKind) -> None:
    assert remedy(Reason.STALLED, failure) is Remedy.RETRY
    assert remedy(Reason.PERMISSION_DENIED, failure) is Remedy.NONE


@pytest.mark.parametrize(
    "failure",
    [FailureKind.REFUSED_KEY, FailureKind.FORBIDDEN, FailureKind.BAD_REQUEST, FailureKind.BUDGET],
)
def test_what_cannot_get_better_is_not_tried_again(failure: FailureKind) -> None:
    policy = RetryPolicy(9, 10, 300, HALF_A_DAY)
    assert after([(Reason.AGENT_FAILED, failure)], policy) == GiveUp(Reason.AGENT_FAILED)


def test_pauses_double_up_to_the_longest() -> None:
    policy = RetryPolicy(9, 10, 300)
    followings = [after([FAILED] * number, policy) for number in range(1, 9)]
    delays = [one.delay_seconds for one in followings if isinstance(one, TryAgain)]
    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]
    assert all(one <= other for one, other in pairwise(delays))


def test_up_to_a_quarter_of_a_pause_is_left_out_by_chance() -> None:
    following = after([FAILED], RetryPolicy(9, 10, 300), draw=0.999)
    assert isinstance(following, TryAgain)
    assert 7.5 <= following.delay_seconds < 7.6


def test_waiting_for_the_model_is_no_attempt() -> None:
    policy = RetryPolicy(2, 10, 300, HALF_A_DAY)
    assert after([WAITED, FAILED, WAITED, WAITED], policy) == TryAgain(5, 120, WAITED[1])
    assert after([WAITED, FAILED, WAITED], policy) == TryAgain(4, 60, WAITED[1])
    assert after([WAITED, FAILED], policy) == TryAgain(3, 10)
    assert after([WAITED, FAILED, WAITED, FAILED], policy) == GiveUp(Reason.ATTEMPTS_EXHAUSTED)


@given(DRAWS, st.integers(1, 10**4))
def test_it_waits_until_the_limit_ends_and_a_little_longer(draw: float, seconds: int) -> None:
    limit = (Reason.AGENT_FAILED, FailureKind.USAGE_LIMIT)
    policy = RetryPolicy(1, 10, 300, HALF_A_DAY)
    ended_at = NOW + timedelta(minutes=1)
    following = after([limit], policy, draw=draw, resets_at=ended_at + timedelta(seconds=seconds))
    assert isinstance(following, TryAgain)
    assert seconds + 5 <= following.delay_seconds <= seconds + 35


def test_no_run_waits_for_ever() -> None:
    policy = RetryPolicy(3, 10, 300, HALF_A_DAY)
    run, now = run_of([WAITED]), NOW + timedelta(minutes=1)
    began = now
    for number in range(2, 1000):
        following = after_attempt(run, None, policy, now=now, draw=0)
        if isinstance(following, GiveUp):
            break
        now += timedelta(seconds=following.delay_seconds)
        run = apply(run, AttemptStarted(number, now))
        run = apply(run, AttemptEnded(number, *WAITED[:1], now, failure=WAITED[1]))
    assert isinstance(following, GiveUp)
    assert following.reason is Reason.AGENT_FAILED
    assert "claude_flow.model_wait_seconds" in (following.why or "")
    assert timedelta(hours=11) < now - began <= timedelta(hours=12)
