"""Secrets that cannot be printed by accident, and the files that hold them."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from typing import NoReturn

from claude_flow.journal import MASK

_MAX_BYTES = 1024 * 1024


class Secret:
    """A secret text: ``str``, ``repr`` and ``format`` give a mask, ``reveal`` the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


class FileFaultError(Exception):
    """A file cannot be used; the message says why, without its content or name."""


class MissingFileError(FileFaultError):
    """There is no such file."""


@dataclass(frozen=True, slots=True)
class FileText:
    """A file's text, and whether others than its owner and group may read or write it."""

    text: str
    is_open_to_others: bool


def read_text(path: str | Path) -> FileText:
    """Read a regular file of at most 1 MiB.

    Raises MissingFileError, or FileFaultError for all else that stands in the way.
    """
    try:
        # A pipe would hang the open; a terminal must not become ours.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        raise MissingFileError("does not exist") from None
    except ValueError:
        raise FileFaultError("is no path: it holds a NUL character") from None
    except OSError as error:
        raise FileFaultError(f"cannot be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileFaultError("is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise FileFaultError(f"cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(raw) > _MAX_BYTES:
        raise FileFaultError("is larger than 1 MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFaultError(f"is not UTF-8 (byte {error.start})") from None
    return FileText(text, bool(status.st_mode & stat.S_IRWXO))


def read_secret_file(path: str | Path) -> str:
    """The content of a file that holds a secret, without space around it.

    Raises MissingFileError, or FileFaultError, also if it is empty or open to others.
    """
    file = read_text(path)
    if file.is_open_to_others:
        raise FileFaultError("may be read by others; chmod o= it")
    text = file.text.strip()
    if not text:
        raise FileFaultError("is empty")
    return text
