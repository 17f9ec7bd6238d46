"""A clock that a test turns by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class FakeClock:
    """Stands still until it is moved; call it for the wall clock's moment.

    ``monotonic`` counts the seconds it was moved forward, as a clock for durations.
    """

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._seconds = 0.0

    def __call__(self) -> datetime:
        """The moment, aware and in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the start; ``jump`` does not change them."""
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)
        self._seconds += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back, without time passing."""
        self._now += timedelta(seconds=seconds)
