"""What only the kernel's files of a control group tell: cgroup v2's, cgroups(7)."""

from __future__ import annotations

from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
_MICROSECONDS = 1_000_000


def memory_kills(directory: Path | None) -> int | None:
    """How many processes of the group were killed for memory; None where it is not counted."""
    return _figure(directory, "memory.events", "oom_kill")


def throttled_seconds(directory: Path | None) -> float | None:
    """For how long the CPU quota has held the group back; None where it is not counted."""
    microseconds = _figure(directory, "cpu.stat", "throttled_usec")
    return None if microseconds is None else microseconds / _MICROSECONDS


def _figure(directory: Path | None, file: str, name: str) -> int | None:
    """A figure out of lines of ``name number``."""
    if directory is None:
        return None
    try:
        text = (directory / file).read_text(encoding="ascii")
    except OSError:
        return None  # cgroup v1, a controller that is off, or the unit has just ended
    figures = dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line)
    return int(figures[name]) if name in figures else None
