"""Ending every process of a run, however far it strayed.

A process group is not enough: agents' shells have sessions of their own, and ``nohup``
outlives even a successful run.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence

import psutil

from claude_flow.execution import kernel

Find = Callable[[], Sequence[psutil.Process]]

# What SIGKILL does not end within this time sits in the kernel (a dead disk).
_KILL_SECONDS = 5.0


def marked(marker: Mapping[str, str]) -> Find:
    """Finds processes that were started with all of ``marker`` in their environment."""
    return lambda: [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and _is_alive(process) and _carries(process, marker)
    ]


def descendants() -> list[psutil.Process]:
    """All living descendants of this process."""
    return [process for process in psutil.Process().children(recursive=True) if _is_alive(process)]


def end_descendants(
    *, grace_seconds: float, clock: Callable[[], float], wait: Callable[[], None]
) -> list[int]:
    """End all descendants of this process, a subreaper, until the kernel says that none is left.

    ``wait`` is called between two looks and has to reap. Returns the ids of those that even
    SIGKILL did not end.
    """
    give_up_at = clock() + grace_seconds + 2 * _KILL_SECONDS
    left: list[int] = []
    while not left and kernel.has_children() and clock() < give_up_at:
        left = end_processes(descendants, grace_seconds=grace_seconds, clock=clock, wait=wait)
        wait()
    return left


def end_processes(
    find: Find,
    *,
    grace_seconds: float,
    clock: Callable[[], float],
    wait: Callable[[], None],
) -> list[int]:
    """SIGTERM to all that ``find`` finds, SIGKILL to what is left after the grace.

    Looks again until nothing is found, so that a process forked meanwhile is ended as well.
    ``clock`` is monotonic, ``wait`` is called between two looks. Returns the ids of processes
    that even SIGKILL did not end.
    """
    asked: set[psutil.Process] = set()
    kill_at = clock() + grace_seconds
    while found := find():
        now = clock()
        if now >= kill_at + _KILL_SECONDS:
            return [process.pid for process in found]
        for process in found:
            if now >= kill_at:
                _send(process, signal.SIGKILL)
            elif process not in asked:
                _send(process, signal.SIGTERM)
        asked.update(found)
        wait()
    return []


def _send(process: psutil.Process, number: signal.Signals) -> None:
    # psutil compares start times first, so a reused id is never hit.
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)


def _is_alive(process: psutil.Process) -> bool:
    try:
        if process.status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
            return True
        # The first thread of a process can be over while others still run.
        return bool(process.num_threads() > 1)
    except psutil.Error:
        return False


def _carries(process: psutil.Process, marker: Mapping[str, str]) -> bool:
    try:
        environment = process.environ()
    except (psutil.Error, OSError):
        return False
    return all(environment.get(name) == value for name, value in marker.items())
