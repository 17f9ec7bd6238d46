"""The processes of the service, as psutil sees them: how many, how busy, with what open."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import psutil

_Seen = TypeVar("_Seen")


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process of the service; None where this user may not look.

    ``cpu_percent`` is of one core, over the interval of the measurement.
    """

    pid: int
    parent_pid: int | None
    name: str
    cpu_percent: float | None = None
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    """Resident."""
    threads: int | None = None
    open_files: int | None = None
    """Open file descriptors, sockets included."""
    connections: int | None = None
    """TCP and UDP sockets over IP."""
    read_bytes: int | None = None
    """Read from storage."""
    written_bytes: int | None = None


class ProcessWatch:
    """Measures processes between its making and ``finish``, so that something can go on meanwhile.

    ``pids`` that have ended are left out. ``finish`` waits, if it must, until the interval is
    ``shortest_seconds`` long: over less, a CPU's share is noise.
    """

    def __init__(
        self,
        pids: Iterable[int],
        *,
        shortest_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._shortest_seconds = shortest_seconds
        self._begun = monotonic()
        self._processes = [found for pid in pids if (found := _process(pid)) is not None]
        self._before = {process.pid: _cpu_seconds(process) for process in self._processes}
        self.seconds = 0.0
        """How long the interval was, after ``finish``."""

    def finish(self) -> tuple[ProcessStatus, ...]:
        """The processes that still live, parents before their children."""
        rest = self._shortest_seconds - (self._monotonic() - self._begun)
        if rest > 0 and self._processes:
            self._sleep(rest)
        self.seconds = self._monotonic() - self._begun
        found = [status for process in self._processes if (status := self._status(process))]
        return tuple(_parents_first(found))

    def _status(self, process: psutil.Process) -> ProcessStatus | None:
        name = _allowed(process.name)
        if name is None or not process.is_running():
            return None
        cpu, before = _cpu_seconds(process), self._before[process.pid]
        memory = _allowed(process.memory_info)
        storage = _allowed(process.io_counters)
        sockets = _allowed(lambda: process.net_connections("inet"))
        return ProcessStatus(
            pid=process.pid,
            parent_pid=_allowed(process.ppid),
            name=name,
            cpu_percent=self._percent(before, cpu),
            cpu_seconds=None if cpu is None else round(cpu, 3),
            memory_bytes=memory.rss if memory else None,
            threads=_allowed(process.num_threads),
            open_files=_allowed(process.num_fds),
            connections=None if sockets is None else len(sockets),
            read_bytes=storage.read_bytes if storage else None,
            written_bytes=storage.write_bytes if storage else None,
        )

    def _percent(self, before: float | None, after: float | None) -> float | None:
        if before is None or after is None or self.seconds <= 0:
            return None
        return round(100 * max(0.0, after - before) / self.seconds, 1)


def family(pid: int) -> list[int]:
    """A process and its descendants, for where no control group tells; empty if it has ended."""
    process = _process(pid)
    if process is None:
        return []
    children = _allowed(lambda: process.children(recursive=True)) or []
    return [pid, *(child.pid for child in children)]


def _process(pid: int) -> psutil.Process | None:
    return _allowed(lambda: psutil.Process(pid))


def _cpu_seconds(process: psutil.Process) -> float | None:
    times = _allowed(process.cpu_times)
    return times.user + times.system if times else None


def _allowed(look: Callable[[], _Seen]) -> _Seen | None:
    try:
        return look()
    except (psutil.Error, OSError):  # it has ended, is another's, or /proc is half hidden
        return None


def _parents_first(found: list[ProcessStatus]) -> list[ProcessStatus]:
    known = {status.pid for status in found}
    below: dict[int | None, list[ProcessStatus]] = {}
    for status in found:
        parent = status.parent_pid if status.parent_pid in known else None
        below.setdefault(parent, []).append(status)

    def walk(parent: int | None) -> list[ProcessStatus]:
        order: list[ProcessStatus] = []
        for status in sorted(below.get(parent, []), key=lambda each: each.pid):
            order += [status, *walk(status.pid)]
        return order

    return walk(None)
