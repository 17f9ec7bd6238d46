"""Server-sent events of one run: its record and its agent's progress, until it is final.

Each event carries a whole value, and its id names the state as of that event. So a reader that
lost its connection resumes against any host and after any restart, and nothing is kept for it.
The record is read again and again instead of being announced: with a shared database another
host may change it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from claude_flow.daemon.snapshot import progress_json
from claude_flow.errors import EngineError
from claude_flow.journal import redactor
from claude_flow.model.run import Run
from claude_flow.ports import Progress

_log = logging.getLogger(__name__)

_HEARTBEAT = b": still here\n\n"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a stream looks, and how long it stays silent at most, in seconds."""

    poll_seconds: float = 1.0
    heartbeat_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class RunMoment:
    """A run and its agent's progress at one moment."""

    run: Run
    progress: Progress

    @property
    def parts(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """The events that tell all of it, by name."""
        return (("progress", progress_json(self.progress)), ("run", self.run.to_json()))

    @property
    def event_id(self) -> str:
        """The same for the same content, on every host."""
        return hashlib.sha256(_compact(self.parts).encode()).hexdigest()[:16]


ReadMoment = Callable[[str], RunMoment | None]
"""Reads a run by its id; blocks; None if it is unknown. Raises EngineError."""


class EventStreams:
    """The open streams of one daemon, ended together when it stops."""

    def __init__(self, read: ReadMoment, pace: Pace, *, limit: int = 32) -> None:
        self._read = read
        self._pace = pace
        self._limit = limit
        self._stopping = asyncio.Event()
        self.open_count = 0

    @property
    def is_full(self) -> bool:
        """Whether another stream would be one too many."""
        return self.open_count >= self._limit

    def close(self) -> None:
        """End all streams at their next look, which comes at once."""
        self._stopping.set()

    async def follow(self, first: RunMoment, *, after: str | None) -> AsyncIterator[bytes]:
        """Tell ``first`` unless the reader has it (``after`` is its id), then each change.

        Ends after the run's final event, when the run is gone, when the database cannot be
        read (the reader's next try learns why) or when the daemon stops.
        """
        self.open_count += 1
        try:
            async for block in self._blocks(first, after):
                yield block
        finally:
            self.open_count -= 1

    async def _blocks(self, first: RunMoment, after: str | None) -> AsyncIterator[bytes]:
        told = first if after == first.event_id else None
        moment: RunMoment | None = first
        silent_seconds = 0.0
        while moment is not None:
            block = _changes(told, moment)
            if block:
                yield block
                told, silent_seconds = moment, 0.0
            elif silent_seconds >= self._pace.heartbeat_seconds:
                yield _HEARTBEAT
                silent_seconds = 0.0
            if moment.run.state.is_final or await self._stops_within(self._pace.poll_seconds):
                return
            silent_seconds += self._pace.poll_seconds
            moment = await self._look(moment.run.id)

    async def _look(self, run_id: str) -> RunMoment | None:
        try:
            return await asyncio.to_thread(self._read, run_id)
        except EngineError as error:
            _log.warning("ended the event stream of run %s: %s", run_id, error)
            return None

    async def _stops_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True


def _changes(told: RunMoment | None, moment: RunMoment) -> bytes:
    """The events for what differs; a reader resumes only from a whole moment, so one id."""
    known = {} if told is None else dict(told.parts)
    lines = [
        f"event: {name}\nid: {moment.event_id}\ndata: {_compact(data)}\n\n"
        for name, data in moment.parts
        if known.get(name) != data
    ]
    return redactor.redact("".join(lines)).encode()


def _compact(value: object) -> str:
    """JSON on one line: an event's data may hold no bare line break."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
