"""Which of the other hosts are dead, judged from what is seen of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Beat:
    """A host's latest sign of life, and how long it asks the others to wait for the next."""

    host_id: str
    at: datetime
    timeout_seconds: float


class PeerWatch:
    """Judges by how long a beat is the same, on this host's own monotonic clock.

    So a living host is not taken for dead because somebody set a clock, its own, this one's or
    the database's, or because this host was itself cut off.
    """

    def __init__(self) -> None:
        self._first_seen: dict[Beat, float] = {}

    def dead(self, beats: Iterable[Beat], now: float) -> list[Beat]:
        """Those of all beats there are that have been the latest for too long."""
        self._first_seen = {beat: self._first_seen.get(beat, now) for beat in beats}
        return [
            beat for beat, seen in self._first_seen.items() if now - seen > beat.timeout_seconds
        ]

    def forget(self) -> None:
        """Begin anew: what happened meanwhile was not seen."""
        self._first_seen.clear()
