"""The daemon's words to its service manager: sd_notify(3)."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping

from systemd import daemon

_log = logging.getLogger(__name__)

_MICROSECONDS = 1_000_000


class Notifier:
    """Tells systemd how the daemon stands; says nothing where no systemd listens.

    ``environ`` is the daemon's own environment: NOTIFY_SOCKET says whether anybody listens,
    WATCHDOG_USEC and WATCHDOG_PID how often ``watchdog`` must be called. A message that cannot
    be delivered is logged once and never stops the daemon.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        pid: int | None = None,
        send: Callable[[str], object] = daemon.notify,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._is_listened_to = bool(environ.get("NOTIFY_SOCKET"))
        self._watchdog_interval = _watchdog_interval(environ, os.getpid() if pid is None else pid)
        self._send = send
        self._monotonic_ns = monotonic_ns
        self._has_failed = False

    @property
    def is_listened_to(self) -> bool:
        """Whether systemd has started this process and waits for its word."""
        return self._is_listened_to

    def extend_start(self, seconds: float, status: str) -> None:
        """The start takes this much longer than the unit allows, counted from now."""
        self._tell(f"EXTEND_TIMEOUT_USEC={int(seconds * _MICROSECONDS)}", status)

    @property
    def watchdog_interval(self) -> float | None:
        """Seconds after which systemd gives up on a silent daemon; None without a watchdog.

        Call ``watchdog`` at least twice as often.
        """
        return self._watchdog_interval

    def ready(self, status: str | None = None) -> None:
        """Start-up, or a reload, is done."""
        self._tell("READY=1", status)

    def reloading(self) -> None:
        """The configuration is being read anew; ``ready`` ends it."""
        # Type=notify-reload wants the moment, to tell this reload from an earlier one.
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={self._monotonic_ns() // 1000}", None)

    def stopping(self, status: str | None = None) -> None:
        """The daemon is on its way out."""
        self._tell("STOPPING=1", status)

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._tell(None, text)

    def watchdog(self) -> None:
        """The loop that does the work is alive. Call it from that loop only."""
        if self._watchdog_interval is not None:
            self._tell("WATCHDOG=1", None)

    def _tell(self, state: str | None, status: str | None) -> None:
        if not self._is_listened_to:
            return
        # A line break in the text would begin another assignment.
        text = None if status is None else f"STATUS={' '.join(status.split())}"
        try:
            self._send("\n".join(part for part in (state, text) if part is not None))
        except OSError as error:
            if not self._has_failed:
                _log.warning("systemd cannot be told how the daemon stands: %s", error)
            self._has_failed = True
        else:
            self._has_failed = False


def _watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    text = environ.get("WATCHDOG_USEC", "")
    meant_for = environ.get("WATCHDOG_PID", str(pid))
    if not text.isdecimal() or int(text) == 0 or meant_for != str(pid):
        return None
    return int(text) / _MICROSECONDS
