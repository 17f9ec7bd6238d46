"""The right of a host to work on the runs that it took, where several hosts share them."""

from __future__ import annotations

from typing import Protocol


class HostLease(Protocol):
    """Held for as long as the other hosts leave this one's work alone.

    Moments are seconds of ``now``, a clock that is never set and goes on while the host sleeps.
    Running attempts see the lease and end themselves when it is over, daemon or not.
    """

    def now(self) -> float:
        """This moment."""
        ...

    def renew(self, until: float) -> None:
        """Hold it until then. Raises EngineError if that cannot be shown to attempts."""
        ...

    def revoke(self) -> None:
        """Hold it no more: others have this host's work."""
        ...

    def is_held(self) -> bool:
        """Whether it is held now."""
        ...
