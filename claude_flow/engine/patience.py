"""Waiting for a PostgreSQL that is away for a moment, so that running agents live through it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from claude_flow.engine.record import RunRecord
from claude_flow.errors import EngineError
from claude_flow.model.run import Run
from claude_flow.model.transitions import RunEvent

logger = logging.getLogger(__name__)

_OUTAGE_SECONDS = 120.0
_PAUSE_SECONDS = 1.0
T = TypeVar("T")


class Patience:
    """Tries again what failed for want of a connection, until ``stop`` or two minutes."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Wait for nothing any more."""
        self._stopping.set()

    def call(self, do: Callable[[], T]) -> T:
        """``do()``; it may be done twice, its first answer being lost. Raises EngineError."""
        deadline = time.monotonic() + _OUTAGE_SECONDS
        while True:
            try:
                return do()
            except EngineError as error:
                if not _is_outage(error) or time.monotonic() > deadline:
                    raise
                if self._stopping.wait(_PAUSE_SECONDS):
                    raise
                logger.debug("trying again: %s", error)


class PatientRecord:
    """The record as attempts use it; all its calls bear being done twice."""

    def __init__(self, record: RunRecord, patience: Patience) -> None:
        self._record = record
        self._patience = patience

    def get(self, run_id: str) -> Run | None:
        """See ``RunRecord``."""
        return self._patience.call(lambda: self._record.get(run_id))

    def is_cancelled(self, run_id: str) -> bool:
        """See ``RunRecord``."""
        return self._patience.call(lambda: self._record.is_cancelled(run_id))

    def latest_attempt(self, run_id: str) -> int:
        """See ``RunRecord``."""
        return self._patience.call(lambda: self._record.latest_attempt(run_id))

    def apply(self, run_id: str, event: RunEvent) -> Run:
        """See ``RunRecord``."""
        return self._patience.call(lambda: self._record.apply(run_id, event))


def _is_outage(error: EngineError) -> bool:
    """Whether the server hung up or does not answer; SQLite's file is there or is not."""
    cause = error.__cause__
    if not isinstance(cause, DBAPIError) or type(cause.orig).__module__.startswith("sqlite3"):
        return False
    # No SQLSTATE: no server answered. 57P: it is shutting down or starting up. 08: connection.
    state = getattr(cause.orig, "sqlstate", None)
    return cause.connection_invalidated or state is None or state.startswith(("57P", "08"))
