"""Throw-away directories that an agent may have filled with anything."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path

# One round per level of directories that nobody may even read: deeper is no accident.
_ROUNDS = 10

_log = logging.getLogger(__name__)


def make_empty(path: Path) -> None:
    """Make the directory; what was in it is gone. Raises OSError."""
    remove(path)
    path.mkdir(parents=True, exist_ok=True)


def remove(path: Path) -> None:
    """Remove a directory with all that is in it, read-only directories included.

    Follows no link. What cannot be removed stays and is told in the log.
    """
    if path.is_symlink() or path.is_file():
        path.unlink()
        return
    failed: list[str] = []

    def allow(_function: object, name: str, _error: object) -> None:
        failed.append(name)
        for directory in (os.path.dirname(name), name):  # noqa: PTH120 - rmtree gives text
            if os.path.isdir(directory) and not os.path.islink(directory):  # noqa: PTH112, PTH114 - likewise
                with contextlib.suppress(OSError):
                    os.chmod(directory, 0o700)  # noqa: PTH101 - likewise

    for _ in range(_ROUNDS):
        failed.clear()
        if not path.exists():
            return
        shutil.rmtree(path, onerror=allow)
        if not failed:
            return
    _log.warning("could not remove %s of %s", failed[0], path)
