"""When an attempt has gone on for too long or come to a halt: a pure judgement over time."""

from __future__ import annotations

from dataclasses import dataclass

from claude_flow.ports import Stop

# Less than this over a whole stall time-out is idling. Measured: Claude Code that waits for a
# silent API takes up to 0.4 % of a core and 50 B/s, one that is being streamed to 1.5 % or
# more; a shell that starts a small program every second takes 0.1 % and up to 46 KB/s.
_IDLE_CORES = 0.01
_IDLE_BYTES_PER_SECOND = 64 * 1024
# The kernel counts in hundredths of a second: over a short time-out 1 % would be one of them.
_IDLE_CPU_SECONDS = 0.05

_LOOKS_PER_STALL_TIMEOUT = 10
_LONGEST_BETWEEN_LOOKS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Activity:
    """What an attempt's processes have used together since its start."""

    cpu_seconds: float = 0.0
    io_bytes: int = 0


class LimitWatch:
    """Judges one attempt against its limits. All moments are seconds of one monotonic clock.

    It stalls when, for a whole stall time-out, it says nothing and its processes do nothing
    worth the name: a long build is silent but busy, a hung agent idles.
    """

    def __init__(self, *, now: float, timeout_seconds: float, stall_timeout_seconds: float) -> None:
        self._ends_at = now + timeout_seconds
        self._stall_timeout_seconds = stall_timeout_seconds
        self._stalls_at = now + stall_timeout_seconds
        self._look_seconds = min(
            stall_timeout_seconds / _LOOKS_PER_STALL_TIMEOUT, _LONGEST_BETWEEN_LOOKS_SECONDS
        )
        self._look_at = now + self._look_seconds
        self._latest = Activity()
        self._at_sign_of_life = Activity()

    def heard(self, now: float) -> None:
        """Note that the agent said something."""
        self._sign_of_life(now)

    def saw(self, now: float, activity: Activity) -> None:
        """Note what its processes have used up to now."""
        self._latest = activity
        self._look_at = now + self._look_seconds
        before = self._at_sign_of_life
        # Sums fall where a process ends that nobody waits for: it takes its own along.
        self._at_sign_of_life = before = Activity(
            min(before.cpu_seconds, activity.cpu_seconds), min(before.io_bytes, activity.io_bytes)
        )
        window = self._stall_timeout_seconds
        computes = activity.cpu_seconds - before.cpu_seconds >= max(
            _IDLE_CORES * window, _IDLE_CPU_SECONDS
        )
        if computes or activity.io_bytes - before.io_bytes >= _IDLE_BYTES_PER_SECOND * window:
            self._sign_of_life(now)

    def wants_to_see(self, now: float) -> bool:
        """Whether it is time to look at the processes."""
        return now >= min(self._look_at, self._stalls_at)

    def exceeded(self, now: float) -> Stop | None:
        """What it is to be stopped for, if anything; the time-out counts first."""
        if now >= self._ends_at:
            return Stop.TIMED_OUT
        if now >= self._stalls_at:
            return Stop.STALLED
        return None

    def seconds_left(self, now: float) -> float:
        """How long nothing can be exceeded, and nothing needs to be seen."""
        return max(0.0, min(self._ends_at, self._stalls_at, self._look_at) - now)

    def _sign_of_life(self, now: float) -> None:
        self._stalls_at = now + self._stall_timeout_seconds
        self._at_sign_of_life = self._latest
