"""How much room the disks have that runs write to."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_log = logging.getLogger(__name__)

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Space:
    """What is free where there is least; ``minimum_bytes`` are asked for."""

    directory: Path
    free_bytes: int
    minimum_bytes: int

    @property
    def is_low(self) -> bool:
        """Whether no new run may start."""
        return self.free_bytes < self.minimum_bytes

    def __str__(self) -> str:
        return (
            f"{self.free_bytes // _MIB} MiB are free in {self.directory}, "
            f"and workspace.min_free_bytes asks for {self.minimum_bytes // _MIB} MiB"
        )


class SpaceWatch:
    """Looks at the disks of some directories, which need not exist yet."""

    def __init__(
        self,
        directories: Sequence[Path],
        minimum_bytes: Callable[[], int],
        *,
        ask: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    ) -> None:
        self._directories = directories
        self._minimum_bytes = minimum_bytes
        self._ask = ask
        self._was_low = False

    def look(self) -> Space:
        """The disk with the least room. Raises OSError if one cannot be asked."""
        return min(
            (
                Space(directory, self.free_bytes(directory), self._minimum_bytes())
                for directory in self._directories
            ),
            key=lambda space: space.free_bytes,
        )

    def free_bytes(self, directory: Path) -> int:
        """What is free on the directory's disk. Raises OSError if it cannot be asked."""
        return self._ask(_existing(directory))

    def has_room(self) -> bool:
        """Whether a new run may start. Each change is told once."""
        try:
            space = self.look()
        except OSError as error:
            if not self._was_low:
                _log.warning("no new run starts: the free space cannot be seen: %s", error)
            self._was_low = True
            return False
        if space.is_low and not self._was_low:
            _log.warning("no new run starts: %s", space)
        elif self._was_low and not space.is_low:
            _log.info("new runs start again: %s", space)
        self._was_low = space.is_low
        return not space.is_low


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
