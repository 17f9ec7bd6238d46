"""The releases on a host, and those that nobody needs any longer."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

_PROCESSES = Path("/proc")


def installed(directory: Path) -> dict[str, int]:
    """Every release by name, with when its installation was whole; 0 where it never was."""
    if not directory.is_dir():
        return {}
    return {
        place.name: _since(place / ".installed")
        for place in directory.iterdir()
        if place.is_dir() and not place.is_symlink()
    }


def linked(link: Path) -> str:
    """The name of the release that a link leads to; empty where there is none."""
    try:
        return link.readlink().name
    except OSError:
        return ""


def in_use(directory: Path, processes: Path = _PROCESSES) -> set[str]:
    """The releases that a process was started from, an attempt's watcher for one."""
    prefix = os.fsencode(directory) + b"/"
    found = set()
    for command_line in processes.glob("[0-9]*/cmdline"):
        try:
            words = command_line.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended since
        for word in words:
            if word.startswith(prefix):
                found.add(os.fsdecode(word[len(prefix) :].partition(b"/")[0]))
    return found


def unwanted(
    there: Mapping[str, int], *, keep: int, current: str, before: str, used: Collection[str]
) -> list[str]:
    """The releases to remove so that ``keep`` are left, those that were installed first.

    Never the current one, the one before it, or one in use, however few are to be kept. The
    current one counts also where it is yet to be installed.
    """
    latest = sorted(there, key=lambda name: (there[name], name), reverse=True)
    first = [current, before] if before in there else [current]
    ranked = list(dict.fromkeys([*first, *latest]))
    safe = {current, before, *used}
    return sorted(name for name in ranked[keep:] if name not in safe)


def _since(mark: Path) -> int:
    try:
        return mark.stat().st_mtime_ns
    except OSError:
        return 0
