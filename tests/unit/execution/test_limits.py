from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from claude_flow.execution.limits import Activity, LimitWatch

SECONDS = st.floats(min_value=0.001, max_value=1e6)
WINDOW = st.floats(min_value=1, max_value=600)
# CPU seconds and bytes used between two looks: nothing, next to nothing, much.
USE = st.tuples(
    st.sampled_from([0.0, 0.004, 0.04, 0.4, 4.0, 400.0]),
    st.sampled_from([0, 400, 40_000, 4_000_000, 400_000_000]),
)


def watch_of(stall: float, timeout: float = 1e9) -> LimitWatch:
    return LimitWatch(now=0.0, timeout_seconds=timeout, stall_timeout_seconds=stall)


def looks(watch: LimitWatch, now: float = 0.0) -> Iterator[float]:
    """The moments at which a supervisor that hears nothing wakes up, until it stalls."""
    while True:
        now += watch.seconds_left(now)
        yield now
        if watch.exceeded(now):
            return


def idle_below(stall: float) -> tuple[float, float]:
    """CPU seconds and bytes that are idling over a stall time-out."""
    return max(0.01 * stall, 0.05), 64 * 1024 * stall


@given(timeout=SECONDS, stall=SECONDS, pauses=st.lists(SECONDS, max_size=20))
def test_silence_and_length_are_judged_apart(
    timeout: float, stall: float, pauses: list[float]
) -> None:
    watch = watch_of(stall, timeout)
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
    watch = watch_of(stall, timeout)
    left = watch.seconds_left(at)
    assert not left or watch.exceeded(at) is None
    moment = at + left
    assert watch.exceeded(moment) or watch.wants_to_see(moment)


@given(stall=WINDOW, uses=st.lists(USE, min_size=1, max_size=60))
def test_it_stalls_only_after_a_whole_window_of_idling(
    stall: float, uses: list[tuple[float, int]]
) -> None:
    watch = watch_of(stall)
    seen = [(0.0, Activity())]
    for now, (cpu, io) in zip(looks(watch), uses, strict=False):
        latest = seen[-1][1]
        seen.append((now, Activity(latest.cpu_seconds + cpu, latest.io_bytes + io)))
        watch.saw(*seen[-1])
    now, last = seen[-1]
    if watch.exceeded(now) is None:
        return
    # Floating sums: a look a hair after the window's begin is its begin.
    before = next(activity for at, activity in seen if at >= now - stall - 1e-6 * stall)
    cpu_limit, io_limit = idle_below(stall)
    assert now >= stall
    assert last.cpu_seconds - before.cpu_seconds < cpu_limit
    assert last.io_bytes - before.io_bytes < io_limit


@given(stall=WINDOW, cores=st.floats(0.0, 4.0), windows=st.integers(1, 5))
def test_steady_work_is_judged_by_its_rate(stall: float, cores: float, windows: int) -> None:
    watch = watch_of(stall)
    is_idle = cores * stall < idle_below(stall)[0]
    for now in looks(watch):
        watch.saw(now, Activity(cpu_seconds=cores * now))
        if now >= windows * stall:
            break
    # At the very edge rounding decides.
    if abs(cores * stall - idle_below(stall)[0]) > 1e-6:
        assert watch.exceeded(now) == ("stalled" if is_idle else None)


@given(stall=st.floats(1, 600), windows=st.floats(0, 3))
def test_a_hang_after_work_is_noticed_within_one_window(stall: float, windows: float) -> None:
    watch = watch_of(stall)
    busy_for, ended = windows * stall, 0.0
    for now in looks(watch):
        ended = now
        watch.saw(now, Activity(io_bytes=int(min(now, busy_for) * 1_000_000)))
    assert stall <= ended <= busy_for + stall + min(10.0, stall / 10) + 1e-3


def test_work_goes_on_counting_when_a_process_takes_its_sums_along() -> None:
    watch = watch_of(100.0)
    watch.saw(10.0, Activity(cpu_seconds=50.0))
    watch.saw(20.0, Activity(cpu_seconds=0.0))
    watch.saw(105.0, Activity(cpu_seconds=2.0))
    assert watch.exceeded(115.0) is None
