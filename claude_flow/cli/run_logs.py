"""What ``claude-flowctl runs logs`` does: an attempt's events, or its output as it came."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from claude_flow.cli.output import say
from claude_flow.cli.run_source import RunSource
from claude_flow.cli.session import Session
from claude_flow.cli.transcript import readable
from claude_flow.errors import ServiceError, UsageError
from claude_flow.execution.event_log import EventPosition, RunEvents, ToldEvent
from claude_flow.execution.spec import AttemptFiles
from claude_flow.model.events import AgentEvent
from claude_flow.model.run import Run
from claude_flow.ports import AGENT_PART

_LOOK_SECONDS = 0.3
_CHUNK = 64 * 1024
_WORD = re.compile(r"[a-z0-9-]{1,80}")


def events(
    session: Session,
    *,
    run_id: str,
    number: int | None,
    part: str | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Print an attempt's events, with ``follow`` until it has ended, all that come after it too.

    ``number`` names one attempt and no other; without it the latest is the first.
    """
    source = RunSource(session)
    run = source.run(_checked(run_id, "a run's id"))
    if part is not None:
        _checked(part, "a part's name")
    first = number or run.attempt or 1
    told = _told(
        RunEvents(session.state_directory / "runs"),
        run_id,
        EventPosition(first),
        last=number if follow else first,
        is_over=_ending(source, run_id, number) if follow else lambda: True,
    )
    is_told = False
    for line in told:
        is_told = True
        for text in _texts(line, part, as_json=as_json):
            say(text)
    if not is_told and not follow:
        raise _nothing(run_id, first, "events")


def output(
    session: Session,
    *,
    run_id: str,
    number: int | None,
    part: str | None,
    follow: bool,
    errors: bool,
) -> None:
    """Print what a part of an attempt wrote, with ``follow`` until the attempt has ended."""
    source = RunSource(session)
    run = source.run(_checked(run_id, "a run's id"))
    number = number or run.attempt or 1
    name = AGENT_PART if part is None else _checked(part, "a part's name")
    files = AttemptFiles.of_part(session.state_directory / "runs", run_id, number, name)
    path = files.stderr if errors else files.stdout
    if not follow and not _exists(path):
        raise _nothing(run_id, number, "output")
    for line in _lines(path, follow=follow, is_over=_ending(source, run_id, number)):
        say(line)


def _told(
    events: RunEvents,
    run_id: str,
    position: EventPosition,
    *,
    last: int | None,
    is_over: Callable[[], bool],
) -> Iterator[str]:
    """The lines of events as they come, none of an attempt after ``last``."""
    while True:
        ends = is_over()
        while told := _after(events, run_id, position):
            for one in told:
                if last is not None and one.end.attempt > last:
                    return
                yield one.line
            position = told[-1].end
        if ends:
            return
        time.sleep(_LOOK_SECONDS)


def _after(events: RunEvents, run_id: str, position: EventPosition) -> list[ToldEvent]:
    try:
        return events.after(run_id, position)
    except PermissionError as error:
        raise _unreadable(events.runs_directory / run_id) from error


def _texts(line: str, part: str | None, *, as_json: bool) -> Iterator[str]:
    try:
        event = AgentEvent.from_line(line)
    except ValueError:  # of a later release, which knows more kinds
        return
    if part is not None and event.part != part:
        return
    if as_json:
        yield line
    else:
        yield from readable(event)


def _ending(source: RunSource, run_id: str, number: int | None) -> Callable[[], bool]:
    """Whether the run has ended, or the attempt where one is named."""

    def is_over() -> bool:
        run: Run = source.run(run_id)
        ended = [attempt.number for attempt in run.attempts if attempt.ended_at is not None]
        return run.state.is_final or number in ended

    return is_over


def _checked(word: str, what: str) -> str:
    if _WORD.fullmatch(word) is None:
        raise UsageError(f"{word!r} is not {what}", hint="see: claude-flowctl runs list")
    return word


def _nothing(run_id: str, number: int, what: str) -> ServiceError:
    return ServiceError(
        f"attempt {number} of {run_id} has left no {what} on this host",
        hint="see its attempts with: claude-flowctl runs show " + run_id,
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError as error:
        raise _unreadable(path) from error


def _lines(path: Path, *, follow: bool, is_over: Callable[[], bool]) -> Iterator[str]:
    """The file's lines as it grows, until ``is_over`` said so before it was read to its end."""
    held = b""
    position = 0
    while True:
        is_last = not follow or is_over()
        for chunk in _chunks(path, position):
            position += len(chunk)
            *lines, held = (held + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
        if is_last:
            break
        time.sleep(_LOOK_SECONDS)
    if held:
        yield held.decode(errors="replace")


def _chunks(path: Path, position: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(position)
            while chunk := file.read(_CHUNK):
                yield chunk
    except FileNotFoundError:  # not begun yet
        return
    except PermissionError as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> ServiceError:
    return ServiceError(f"{path} may not be read by this user", hint="try it with sudo")
