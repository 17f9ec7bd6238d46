"""Server-sent events of one run: its record, its agent's progress and what happens, to its end.

The record and the progress are told as whole values, what happens in attempts on this host once
each. An event's id names all that was told up to it. So a reader that lost its connection resumes
after any restart (the record and the progress against any host), and nothing is kept for it. The
record is read again and again instead of being announced: with a shared database another host may
change it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from claude_flow.daemon.snapshot import progress_json
from claude_flow.errors import EngineError
from claude_flow.execution.event_log import EventPosition, ToldEvent
from claude_flow.journal import redactor
from claude_flow.model.events import AgentEvent
from claude_flow.model.run import Run
from claude_flow.ports import Progress

_log = logging.getLogger(__name__)

_HEARTBEAT = b": still here\n\n"
_NO_MOMENT = "-"
_PLACE = re.compile(r"([0-9a-f]{16}|-)\.([0-9]{1,6})\.([0-9]{1,12})")


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


@dataclass(frozen=True, slots=True)
class Place:
    """How far a reader has heard: the id of the moment it was told last, and of what happens."""

    moment_id: str | None = None
    happened: EventPosition = EventPosition()  # noqa: RUF009 - a frozen value

    def __str__(self) -> str:
        return f"{self.moment_id or _NO_MOMENT}.{self.happened.attempt}.{self.happened.offset}"

    @classmethod
    def parse(cls, event_id: str | None) -> Place:
        """The place that an event's id names; the beginning for what names none."""
        found = _PLACE.fullmatch(event_id or "")
        if found is None:
            return cls()
        moment_id, attempt, offset = found.groups()
        position = EventPosition(int(attempt), int(offset))
        return cls(None if moment_id == _NO_MOMENT else moment_id, position)


ReadMoment = Callable[[str], RunMoment | None]
"""Reads a run by its id; blocks; None if it is unknown. Raises EngineError."""
ReadHappened = Callable[[str, EventPosition], list[ToldEvent]]
"""Reads what happened in a run's attempts on this host; blocks. Raises OSError."""


class EventStreams:
    """The open streams of one daemon, ended together when it stops."""

    def __init__(
        self, read: ReadMoment, read_happened: ReadHappened, pace: Pace, *, limit: int = 32
    ) -> None:
        self._read = read
        self._read_happened = read_happened
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

    async def is_all_told(self, moment: RunMoment, *, after: str | None) -> bool:
        """Whether nothing will ever follow what the event with the id ``after`` told."""
        place = Place.parse(after)
        return (
            moment.run.state.is_final
            and place.moment_id == moment.event_id
            and not await self._happened(moment.run.id, place.happened)
        )

    async def follow(self, first: RunMoment, *, after: str | None) -> AsyncIterator[bytes]:
        """Tell what happened and ``first``, less what the reader knows, then each change.

        ``after`` is the id of the last event that the reader has. Ends after the run's final
        event, when the run is gone, when the database cannot be read (the reader's next try
        learns why) or when the daemon stops.
        """
        self.open_count += 1
        try:
            async for block in self._blocks(first, after):
                yield block
        finally:
            self.open_count -= 1

    async def _blocks(self, first: RunMoment, after: str | None) -> AsyncIterator[bytes]:
        place = Place.parse(after)
        told = first if place.moment_id == first.event_id else None
        moment: RunMoment | None = first
        silent_seconds = 0.0
        while moment is not None:
            # Read after the moment: all that happened in a run that is final is there by now.
            while happened := await self._happened(moment.run.id, place.happened):
                told_id = None if told is None else told.event_id
                yield _happenings(told_id, happened)
                place = Place(told_id, happened[-1].end)
                silent_seconds = 0.0
                if self._stopping.is_set():
                    return
            block = _changes(told, moment, place.happened)
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

    async def _happened(self, run_id: str, after: EventPosition) -> list[ToldEvent]:
        try:
            return await asyncio.to_thread(self._read_happened, run_id, after)
        except OSError as error:
            _log.warning("cannot read what happened in run %s: %s", run_id, error)
            return []

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


def _changes(told: RunMoment | None, moment: RunMoment, happened: EventPosition) -> bytes:
    """The events for what differs; a reader resumes only from a whole moment, so one id."""
    known = {} if told is None else dict(told.parts)
    place = Place(moment.event_id, happened)
    lines = [_event(name, place, data) for name, data in moment.parts if known.get(name) != data]
    return redactor.redact("".join(lines)).encode()


def _happenings(moment_id: str | None, happened: list[ToldEvent]) -> bytes:
    """An event for each; a line that holds none of a kind that is known is passed over."""
    events = []
    for one in happened:
        try:
            data = AgentEvent.from_line(one.line).to_json()
        except ValueError:
            continue
        events.append(_event("agent", Place(moment_id, one.end), data))
    return redactor.redact("".join(events)).encode()


def _event(name: str, place: Place, data: object) -> str:
    return f"event: {name}\nid: {place}\ndata: {_compact(data)}\n\n"


def _compact(value: object) -> str:
    """JSON on one line: an event's data may hold no bare line break."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
