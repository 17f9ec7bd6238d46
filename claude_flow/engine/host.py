"""The name of this installation among those that share a database."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from pathlib import Path

from claude_flow.errors import StateDirectoryError


def host_id(state_directory: Path, new_id: Callable[[], str] = lambda: uuid.uuid4().hex) -> str:
    """This installation's name among those that share a database; made once, then kept.

    Raises StateDirectoryError if the state directory cannot be written.
    """
    path = state_directory / "host-id"
    try:
        state_directory.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path, new_id())
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise StateDirectoryError(
            f"cannot write the state directory {state_directory}: {error.strerror}",
            hint="set service.state_directory to a directory that this user may write",
        ) from error


def _write_once(path: Path, text: str) -> None:
    """Make a file that is whole whenever it is there; fine if another process was first."""
    beside = path.with_name(f".{path.name}.{text}")
    try:
        beside.write_text(text + "\n", encoding="ascii")
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(beside)
    finally:
        beside.unlink(missing_ok=True)
