"""DBOS' own log, brought to the measure of ours.

It prints to standard error by itself, warns of every attempt that is cut short on purpose, and
repeats itself without limit while a database is away.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

_ON_PURPOSE = (
    "Asyncio task cancelled",  # an attempt interrupted by a cancel or by the daemon's end
    "BackgroundEventLoop thread did not exit",
    "Task was destroyed but it is pending",
)
_SECONDS_BETWEEN_REPEATS = 60.0
_SAME_LENGTH = 60  # what differs later in a message is a number or a pause


class QuietFilter(logging.Filter):
    """Drops what happens on purpose and lets a repeated message through once a minute."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be said."""
        message = record.getMessage()
        if message.startswith(_ON_PURPOSE):
            return False
        start, now = message[:_SAME_LENGTH], self._monotonic()
        with self._lock:
            last = self._last.get(start)
            if last is not None and now - last < _SECONDS_BETWEEN_REPEATS:
                return False
            self._last[start] = now
        return True


def quieten() -> None:
    """Let DBOS log through ours, filtered; done again it changes nothing."""
    logger = logging.getLogger("dbos")
    if not any(isinstance(known, QuietFilter) for known in logger.filters):
        logger.addFilter(QuietFilter(time.monotonic))
    if not logger.handlers:
        # With a handler of ours it adds none of its own to standard error.
        logger.addHandler(logging.NullHandler())
    logger.setLevel(logging.WARNING)
    logger.propagate = True
