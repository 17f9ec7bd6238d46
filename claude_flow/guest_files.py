"""Files that an agent may have laid down, or put links in the place of: no link is followed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Opening a pipe would wait for its other end.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_below(top: Path, path: Path) -> BinaryIO:
    """Open the regular file ``path``, relative to ``top``, to read its bytes.

    Raises OSError, also where ``top`` or anything below it is a link, or what is found is
    no regular file or has other names as well.
    """
    with _directory(top, path.parent) as parent:
        file = os.open(path.name, _FILE, dir_fd=parent)
    try:
        _require_own(os.fstat(file), top / path)
        return os.fdopen(file, "rb")
    except OSError:
        os.close(file)
        raise


def names_below(top: Path, path: Path, *, at_most: int) -> list[str]:
    """Up to ``at_most`` names in the directory ``path``, relative to ``top``, sorted.

    Raises OSError, also where ``top`` or anything below it is a link.
    """
    with _directory(top, path) as directory, os.scandir(directory) as entries:
        return sorted(entry.name for entry in islice(entries, at_most))


def _require_own(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise OSError(errno.EINVAL, "not a regular file with one name", str(path))


@contextlib.contextmanager
def _directory(top: Path, path: Path) -> Iterator[int]:
    directory = os.open(top, _DIRECTORY)
    try:
        for name in path.parts:
            inner = os.open(name, _DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory = inner
        yield directory
    finally:
        os.close(directory)
