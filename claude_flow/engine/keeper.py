"""The engine's own small thread: what has to be looked at now and then."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from claude_flow.errors import EngineError

logger = logging.getLogger(__name__)

_LATE_SECONDS = 60.0


class Keeper:
    """Calls ``tick`` every ``period_seconds``; a tick that fails is told and tried again."""

    def __init__(self, period_seconds: float, tick: Callable[[], None]) -> None:
        self._period_seconds = period_seconds
        self._tick = tick
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_tick = 0.0
        self._failing = False

    def start(self) -> None:
        """Begin to tick."""
        self._last_tick = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="engine-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Tick no more; the last tick has ended."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def check(self) -> None:
        """Raise EngineError if the thread is gone or hangs."""
        alive = self._thread is not None and self._thread.is_alive()
        if not alive or time.monotonic() - self._last_tick > _LATE_SECONDS:
            raise EngineError(
                "the engine's keeper thread does not tick", hint="restart the service"
            )

    def _run(self) -> None:
        while not self._stopping.wait(self._period_seconds):
            try:
                self._tick()
            except EngineError as error:
                if not self._failing:  # once per outage
                    logger.warning("%s", error)
                self._failing = True
            else:
                self._failing = False
            self._last_tick = time.monotonic()
