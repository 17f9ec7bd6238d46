"""What the processes below this one have used so far."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import psutil

from claude_flow.execution.limits import Activity


def activity_below(process: psutil.Process) -> Activity:
    """The CPU time and the bytes read and written by all descendants of ``process``.

    Those that have ended count as well, as long as somebody waited for them: the kernel adds
    what they used to their parent's account.
    """
    own = process.cpu_times()
    cpu_seconds = own.children_user + own.children_system
    io_bytes = 0
    for descendant in process.children(recursive=True):
        cpu_seconds += _of(descendant, _cpu_seconds)
        io_bytes += int(_of(descendant, _io_bytes))
    return Activity(cpu_seconds, io_bytes)


def _of(process: psutil.Process, count: Callable[[psutil.Process], float]) -> float:
    # It may have ended by now, or belong to another user: then it cannot be seen.
    with contextlib.suppress(psutil.Error):
        return count(process)
    return 0.0


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _io_bytes(process: psutil.Process) -> float:
    counts = process.io_counters()
    # Calls see what comes from the cache or a socket, the disk what is mapped into memory.
    read = max(counts.read_chars, counts.read_bytes)
    return float(read + max(counts.write_chars, counts.write_bytes))
