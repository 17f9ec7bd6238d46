"""Writes the configuration file: at once or not at all, with its mode and owner."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from claude_flow.config.errors import ConfigFileError
from claude_flow.config.layers import merge, nest
from claude_flow.config.parsing import parse
from claude_flow.config.secret import FileFaultError, MissingFileError, read_text

_NEW_FILE_MODE = 0o640


def save_edits(path: Path, read_before: str | None, edits: Mapping[str, Any]) -> None:
    """Put ``edits`` (values by key) into the file; the rest of it stays.

    ``read_before`` is the text that the edits were judged with, None for no file. Raises
    ConfigFileError, also if the file has another text by now.
    """
    try:
        text = read_text(path).text
    except MissingFileError:
        text = None
    except FileFaultError as fault:
        raise ConfigFileError(f"{path} {fault}") from None
    if text != read_before:
        raise ConfigFileError(f"{path} was changed since it was read", hint="load it again")
    document = {} if text is None else parse(text)
    for key, value in edits.items():
        merge(document, nest(key, value))
    write_document(path, document)


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Replace a file by a JSON document. Raises ConfigFileError."""
    path = path.resolve()  # a link stays a link
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    try:
        _replace(path, text.encode())
    except OSError as error:
        raise ConfigFileError(
            f"{path} cannot be written: {error.strerror}",
            hint="write it as root or as the file's owner",
        ) from None


def _replace(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            _like(path, descriptor)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _like(path: Path, descriptor: int) -> None:
    """Give an open file the owner and mode of the one that it will replace."""
    try:
        old = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, _NEW_FILE_MODE)
        return
    new = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
