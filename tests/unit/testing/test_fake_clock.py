from datetime import timedelta

from claude_flow.testing.clock import START, FakeClock


def test_time_passes_only_when_told() -> None:
    clock = FakeClock()
    assert clock() == clock() == START
    clock.advance(1.5)
    assert clock() == START + timedelta(seconds=1.5)
    assert clock.monotonic() == 1.5


def test_a_jump_of_the_wall_clock_takes_no_time() -> None:
    clock = FakeClock()
    clock.jump(-3600)
    assert clock() == START - timedelta(hours=1)
    assert clock.monotonic() == 0
