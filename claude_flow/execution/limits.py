"""When an attempt has gone on or been silent for too long: a pure judgement over time."""

from __future__ import annotations

TIMED_OUT = "timed_out"
STALLED = "stalled"


class LimitWatch:
    """Judges one attempt against its limits. All moments are seconds of one monotonic clock."""

    def __init__(self, *, now: float, timeout_seconds: float, stall_timeout_seconds: float) -> None:
        self._ends_at = now + timeout_seconds
        self._stall_timeout_seconds = stall_timeout_seconds
        self._stalls_at = now + stall_timeout_seconds

    def heard(self, now: float) -> None:
        """Note that the agent said something."""
        self._stalls_at = now + self._stall_timeout_seconds

    def exceeded(self, now: float) -> str | None:
        """``timed_out``, ``stalled`` or None; the time-out counts first."""
        if now >= self._ends_at:
            return TIMED_OUT
        if now >= self._stalls_at:
            return STALLED
        return None

    def seconds_left(self, now: float) -> float:
        """How long nothing can be exceeded unless something is heard."""
        return max(0.0, min(self._ends_at, self._stalls_at) - now)
