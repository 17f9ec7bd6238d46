"""The events of an attempt on disk: written once each by the daemon, read while they grow."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from claude_flow.execution.spec import AttemptFiles
from claude_flow.model.events import (
    AgentEvent,
    Happening,
    Result,
    Started,
    Truncated,
    for_keeping,
)
from claude_flow.model.run import from_rfc3339, to_rfc3339
from claude_flow.ports import AgentTask, Clock, ProcessEnded, Verdict

_log = logging.getLogger(__name__)

_MODE = 0o640
_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKeeping:
    """How events are kept: without what ``redact`` takes out, up to ``limit_bytes`` per attempt.

    Starts and results are kept beyond that: there are few of them.
    """

    runs_directory: Path
    clock: Clock
    redact: Callable[[str], str]
    limit_bytes: int = 16 * 1024 * 1024

    def open(self, task: AgentTask, started_at: datetime) -> EventLog:
        """The log of one execution of a part, its start noted. Blocks.

        ``started_at`` tells an execution that is taken over from a new one of the same part.
        """
        return EventLog(self, task, started_at)


class EventLog:
    """Appends what one execution tells, behind what is there.

    All of its output may be fed again: what an earlier daemon has written of it is passed over.
    That events cannot be written is told in the log, and no reason to end an attempt.
    """

    def __init__(self, keeping: EventKeeping, task: AgentTask, started_at: datetime) -> None:
        self._keeping = keeping
        self._task = task
        self._path = AttemptFiles.events_of(keeping.runs_directory, task.run_id, task.attempt)
        self._found = _Found()
        self._size = 0
        self._is_broken = False
        with self._bearing_errors(), _opened(self._path) as file:
            self._found = _Found.of(file, task.part, started_at)
            file.truncate(self._found.whole_bytes)  # half a line, of a daemon that was killed
            self._size = self._found.whole_bytes
        if not self._found.is_started:
            self._append([self._event(Started(), at=started_at)])

    def note(self, happenings: Iterable[Happening]) -> None:
        """Write down what is told next."""
        events = []
        for happening in happenings:
            if self._found.told > 0:
                self._found.told -= 1
            elif not self._found.is_full:
                events.append(self._event(happening))
        if events:
            self._append(events)

    def end(self, verdict: Verdict, ended: ProcessEnded) -> None:
        """Write down the result."""
        usage = verdict.usage
        self._end(
            Result(
                ok=verdict.reason is None,
                reason=verdict.reason,
                detail=verdict.detail,
                text=verdict.summary,
                exit_code=ended.exit_code,
                stopped=ended.stopped,
                turns=usage.turns,
                tokens=usage.tokens,
                cost_usd=usage.cost_usd,
                model=usage.model,
            )
        )

    def cut_short(self, why: str) -> None:
        """Write down that the service ended it, or could not see it to its end."""
        self._end(Result(ok=False, detail=why, stopped="cut_short"))

    def _end(self, result: Result) -> None:
        if not self._found.is_ended:
            self._found.is_ended = True
            self._append([self._event(result)])

    def _event(self, happening: Happening, at: datetime | None = None) -> AgentEvent:
        kept = for_keeping(happening, self._keeping.redact)
        at = self._keeping.clock() if at is None else at
        return AgentEvent(at, self._task.attempt, self._task.part, kept)

    def _append(self, events: list[AgentEvent]) -> None:
        if self._is_broken:
            return
        lines = list(self._within_limit(events))
        with self._bearing_errors(), _opened(self._path) as file:
            file.seek(0, os.SEEK_END)
            file.write(b"".join(lines))
        self._size += sum(map(len, lines))

    def _within_limit(self, events: list[AgentEvent]) -> Iterator[bytes]:
        left = self._keeping.limit_bytes - self._size
        for event in events:
            line = event.to_line()
            left -= len(line)
            if left >= 0 or isinstance(event.what, Started | Result):
                yield line
            elif not self._found.is_full:
                self._found.is_full = True
                yield self._event(Truncated(self._keeping.limit_bytes)).to_line()

    @contextmanager
    def _bearing_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._is_broken = True
            _log.warning(
                "%s of attempt %d is not told in %s from here on: %s",
                self._task.part,
                self._task.attempt,
                self._path,
                error,
            )


@dataclass(slots=True)
class _Found:
    """What the file holds already: of this execution, and of whole lines."""

    is_started: bool = False
    is_ended: bool = False
    told: int = 0
    is_full: bool = False
    whole_bytes: int = 0

    @classmethod
    def of(cls, file: IO[bytes], part: str, started_at: datetime) -> _Found:
        found = cls()
        begun = from_rfc3339(to_rfc3339(started_at))  # as precise as it was written
        for line in file:
            if not line.endswith(b"\n"):
                break
            found.whole_bytes += len(line)
            try:
                event = AgentEvent.from_line(line)
            except ValueError:
                continue
            found._take(event, is_own=event.part == part, begun=begun)
        return found

    def _take(self, event: AgentEvent, *, is_own: bool, begun: datetime | None) -> None:
        match event.what:
            case Truncated():
                self.is_full = True
            case Started() if is_own:
                self.is_started = event.at == begun
                self.is_ended = False
                self.told = 0
            case Result() if is_own:
                self.is_ended = self.is_started
            case _ if is_own and self.is_started:
                self.told += 1


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The file for reading and writing, made if need be; never another that a link leads to."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, _MODE)
    with os.fdopen(descriptor, "r+b") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file")
        yield file


@dataclass(frozen=True, slots=True, order=True)
class EventPosition:
    """How far the events of a run were read: to which byte of which attempt."""

    attempt: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """A line of a file of events, and the position behind it."""

    line: str
    end: EventPosition


@dataclass(frozen=True, slots=True)
class RunEvents:
    """Reads the events of runs on this host, attempt after attempt. Raises OSError."""

    runs_directory: Path

    def after(self, run_id: str, position: EventPosition) -> list[ToldEvent]:
        """What comes next, about a megabyte at most; none if there is nothing new.

        A position that lies within a line counts as the beginning of its attempt.
        """
        # Asked first: all of an attempt is written before the next one begins.
        numbers = self._attempts(run_id)
        for number in numbers:
            if number < position.attempt:
                continue
            offset = position.offset if number == position.attempt else 0
            told = self._read(run_id, number, offset)
            if told:
                return told
        return []

    def _attempts(self, run_id: str) -> list[int]:
        directory = self.runs_directory / run_id
        if not directory.is_dir():
            return []
        names = [path.name for path in directory.iterdir()]
        return sorted(int(name) for name in names if name.isascii() and name.isdecimal())

    def _read(self, run_id: str, attempt: int, offset: int) -> list[ToldEvent]:
        path = AttemptFiles.events_of(self.runs_directory, run_id, attempt)
        try:
            with path.open("rb") as file:
                if offset > 0:
                    file.seek(offset - 1)
                    if file.read(1) != b"\n":
                        offset = 0
                        file.seek(0)
                lines = file.readlines(_READ_BYTES)
        except FileNotFoundError:
            return []
        told = []
        for line in lines:
            if not line.endswith(b"\n"):
                break
            offset += len(line)
            text = line[:-1].decode("utf-8", errors="replace")
            told.append(ToldEvent(text, EventPosition(attempt, offset)))
        return told
