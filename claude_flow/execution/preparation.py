"""What an agent finds when it starts, written by a daemon that may be another user.

Where they are two users, new files belong to the group that both are in, by the set-group-ID
bit of the directories that the role makes, and the daemon's umask lets the group write.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from claude_flow.execution.directories import make_empty
from claude_flow.execution.spec import AttemptFiles
from claude_flow.guest_files import open_below
from claude_flow.ports import AgentCommand, Excerpt

_FILE_MODE = 0o660
_EXECUTABLE = 0o110
_GROUP = 0o070
_CHUNK_BYTES = 1024 * 1024


def write_agent_files(command: AgentCommand, scratch: Path, *, for_group: bool) -> None:
    """Make the command's directories and files, in ``scratch`` and elsewhere. Raises OSError.

    ``for_group``: the agent is another user, of the same group. Follows no link below
    ``scratch``: an earlier process of the attempt may have laid some.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    for wanted in command.directories:
        make_empty(wanted)
    # Made at the top, which passes its group on, and moved to where it belongs.
    new = scratch / ".new"
    contents: dict[Path, str | Excerpt] = {**command.files, **command.copies}
    for path, content in contents.items():
        new.unlink(missing_ok=True)
        with new.open("xb") as stream:
            if isinstance(content, Excerpt):
                _copy(content, stream)
            else:
                # Texts come from issues and may hold anything, lone surrogates included.
                stream.write(content.encode(errors="replace"))
        mode = _FILE_MODE | (_EXECUTABLE if path in command.executable else 0)
        new.chmod(mode if for_group else mode & ~_GROUP)
        for parent in _below(scratch, path):
            if parent.is_symlink() or not parent.is_dir():
                parent.unlink(missing_ok=True)
                parent.mkdir()
        path.parent.mkdir(parents=True, exist_ok=True)
        new.replace(path)


def _copy(excerpt: Excerpt, target: BinaryIO) -> None:
    left = excerpt.length
    with open_below(excerpt.top, excerpt.path) as source:
        while left and (chunk := source.read(min(left, _CHUNK_BYTES))):
            target.write(chunk)
            left -= len(chunk)
    if left:
        raise OSError(errno.EIO, "became shorter while it was copied", str(excerpt.path))


def _below(top: Path, path: Path) -> list[Path]:
    """The directories between ``top`` and ``path``, outermost first."""
    return [parent for parent in reversed(path.parents) if top in parent.parents]


def give_files(files: AttemptFiles, *, prompt: str) -> None:
    """Make the attempt's files, for ``claude-flow-run`` to write to. Raises OSError.

    Logs that are there are kept, a result is not.
    """
    files.directory.mkdir(parents=True, exist_ok=True)
    files.prompt.write_text(prompt, encoding="utf-8", errors="replace")
    files.result.write_bytes(b"")
    for path in (files.prompt, files.result, files.stdout, files.stderr):
        path.touch()
        path.chmod(_FILE_MODE)


def without_set_group_id(top: Path, *, itself: bool) -> None:
    """Take the set-group-ID bit from the caller's directories below ``top``. Raises OSError.

    It has done its work, and ``cp -r`` would try to set it, which the sandbox forbids.
    """
    if itself:
        _take_bit(top)
    for directory, names, _files in os.walk(top):
        for name in names:
            _take_bit(Path(directory, name))


def _take_bit(path: Path) -> None:
    found = path.lstat()
    mode = found.st_mode
    if stat.S_ISDIR(mode) and mode & stat.S_ISGID and found.st_uid == os.geteuid():
        path.chmod(stat.S_IMODE(mode) & ~stat.S_ISGID)
