from hypothesis import given
from hypothesis import strategies as st

from claude_flow.execution.limits import LimitWatch

SECONDS = st.floats(min_value=0.001, max_value=1e6)


@given(timeout=SECONDS, stall=SECONDS, pauses=st.lists(SECONDS, max_size=20))
def test_silence_and_length_are_judged_apart(
    timeout: float, stall: float, pauses: list[float]
) -> None:
    watch = LimitWatch(now=0.0, timeout_seconds=timeout, stall_timeout_seconds=stall)
    now, heard = 0.0, 0.0
    for pause in pauses:
        now += pause
        expected = "timed_out" if now >= timeout else "stalled" if now >= heard + stall else None
        assert watch.exceeded(now) == expected
        if expected is not None:
            return
        watch.heard(now)
        heard = now


@given(timeout=SECONDS, stall=SECONDS, at=SECONDS)
def test_nothing_is_exceeded_before_the_seconds_left_are_over(
    timeout: float, stall: float, at: float
) -> None:
    watch = LimitWatch(now=0.0, timeout_seconds=timeout, stall_timeout_seconds=stall)
    left = watch.seconds_left(at)
    assert (left == 0.0) == (watch.exceeded(at) is not None)
    assert watch.exceeded(at + left) is not None
