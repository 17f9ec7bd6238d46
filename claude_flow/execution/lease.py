"""A host's right to work on its runs, as a file that its attempts watch.

Where several hosts share the engine, another one takes over what belongs to a silent one. Its
agents must have ended by then, also where their daemon is stopped, hangs or has lost its
database: so each ``claude-flow-run`` ends its agent when the lease is over.

The file's modification time says until when it is held, in seconds since the host's boot:
setting it is one call that needs no space on the disk. The time that a host sleeps counts, and
nobody who sets the clock can lengthen a lease.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

from claude_flow.errors import EngineError, LeaseLostError

LEASE_FILE = "lease"
LOOK_SECONDS = 1.0
"""How often an attempt looks at its lease, which may be revoked."""

_OVER = 0.0
_NANOSECONDS = 1_000_000_000
_MODE = 0o640


def since_boot() -> float:
    """Seconds since the host's boot, those asleep included: the same for all its processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def held_until(path: Path) -> float:
    """Until when a lease is held; 0 if it is not there."""
    try:
        return path.stat().st_mtime_ns / _NANOSECONDS
    except OSError:
        return _OVER


class FileLease:
    """Implements ``ports.HostLease``: the daemon's side of the file.

    The file stays the same one, for attempts have it under other names.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = since_boot) -> None:
        self.path = path
        self._now = now
        self._regained_at = -math.inf

    def now(self) -> float:
        """See ``ports.HostLease``."""
        return self._now()

    def renew(self, until: float) -> None:
        """See ``ports.HostLease``."""
        was_held = self.is_held()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=_MODE)
            _set(self.path, until)
        except OSError as error:
            raise EngineError(
                f"cannot renew this host's lease {self.path}: {error.strerror}",
                hint="check that its directory belongs to the service's user",
            ) from error
        if not was_held:
            self._regained_at = self._now()

    def revoke(self) -> None:
        """See ``ports.HostLease``."""
        with contextlib.suppress(FileNotFoundError):
            _set(self.path, _OVER)

    def is_held(self) -> bool:
        """See ``ports.HostLease``."""
        return self._now() < held_until(self.path)

    def require(self) -> float:
        """This moment. Raises LeaseLostError unless it is held."""
        moment = self._now()
        if not self.is_held():
            raise self.lost("an attempt")
        return moment

    def has_lapsed_since(self, moment: float) -> bool:
        """Whether it was over at a time since ``moment``, or is over now."""
        return self._regained_at > moment or not self.is_held()

    def lost(self, what: str) -> LeaseLostError:
        """The error that tells what cannot go on for want of the lease."""
        return LeaseLostError(
            f"{what} cannot go on: this host was not heard in the shared database for so long that "
            "another may take its runs over",
            hint="the service starts anew and goes on with what is still its own; see why it "
            "could not reach the database, or was stopped",
        )


def _set(path: Path, until: float) -> None:
    moment = math.floor(until * _NANOSECONDS)
    os.utime(path, ns=(moment, moment))
