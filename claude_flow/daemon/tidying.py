"""The housekeeping beside the daemon's loop: at intervals, and never in its way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from claude_flow.errors import EngineError, WorkspaceError
from claude_flow.workflow.housekeeping import Housekeeping

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 60.0


class Tidying:
    """Starts a round when one is due; the first at once. A trouble is told once."""

    def __init__(
        self,
        housekeeping: Housekeeping,
        *,
        monotonic: Callable[[], float],
        interval_seconds: float = _INTERVAL_SECONDS,
    ) -> None:
        self._housekeeping = housekeeping
        self._monotonic = monotonic
        self._interval = interval_seconds
        self._due = monotonic()
        self._round: asyncio.Task[None] | None = None
        self._told: str | None = None

    def turn(self) -> None:
        """Start a round if it is time and none is under way."""
        if self._round is not None and self._round.done():
            self._round.result()
            self._round = None
        if self._round is None and self._monotonic() >= self._due:
            self._due = self._monotonic() + self._interval
            self._round = asyncio.create_task(self._tidy())

    def hurry(self) -> None:
        """Let the next round come with the next turn."""
        self._due = self._monotonic()

    async def stop(self) -> None:
        """End the round that is under way; what it did not get to is for the next daemon's."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.wait({self._round})

    async def _tidy(self) -> None:
        try:
            await self._housekeeping.tidy()
        except (WorkspaceError, EngineError) as error:
            if str(error) != self._told:
                _log.warning("cannot clear up what runs left: %s", error)
            self._told = str(error)
        else:
            self._told = None
