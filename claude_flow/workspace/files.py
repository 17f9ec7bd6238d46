"""Directories that somebody else filled: deleted whatever is in them, made fit for git."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from claude_flow.errors import ProcessError, WorkspaceError
from claude_flow.ports import Release
from claude_flow.workspace.failures import words
from claude_flow.workspace.git import Git

_log = logging.getLogger(__name__)


@contextmanager
def told_plainly(doing: str) -> Iterator[None]:
    """Turn an OSError into a WorkspaceError that says what could not be done."""
    try:
        yield
    except OSError as error:
        where = f" ({os.fsdecode(error.filename)!r})" if error.filename is not None else ""
        raise WorkspaceError(
            f"{doing} failed: {error.strerror or error}{where}",
            hint="check free space, owner and mode of service.state_directory",
        ) from error


async def delete(git: Git, path: Path) -> None:
    """Delete the file or directory; fine if there is none.

    ``rm`` bears any depth and any number of files; read-only directories are opened first if
    they are in its way.
    """
    if not _is_there(path):
        return
    remove = ("rm", "-rf", "--one-file-system", "--", str(path))
    done = await git.program(remove, cwd=path.parent)
    if done.exit_code != 0:
        # -P, the default: links met on the way are not followed; one given by name would be.
        await git.program(("chmod", "-R", "u+rwX", "--", f"{path}/."), cwd=path.parent)
        done = await git.program(remove, cwd=path.parent)
    if done.exit_code != 0:
        raise WorkspaceError(
            f"could not delete {path}: {words(done.stderr)}",
            hint="does something there belong to another user, or is it a mount point?",
        )


@dataclass(frozen=True, slots=True)
class Deleter:
    """Deletes what an agent may have closed, with ``release`` where the agent is another user.

    Its unit's end opens all of it, but no such end was there when the power went.
    """

    git: Git
    release: Release | None = None

    async def delete(self, run_id: str, path: Path) -> None:
        """Delete the run's file or directory, see ``delete``. Raises WorkspaceError."""
        try:
            await delete(self.git, path)
        except WorkspaceError as error:
            if self.release is None:
                raise
            _log.info("%s: asking the agent's user to open it", error.message)
            try:
                await self.release(run_id, path)
            except ProcessError as refused:
                _log.warning("could not open %s: %s", path, refused)
            await delete(self.git, path)


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


@dataclass(frozen=True, slots=True)
class Tamed:
    """What ``tame`` changed, as paths below the top."""

    nested_repositories: tuple[str, ...]
    special_files: tuple[str, ...]
    delete: tuple[Path, ...]


def tame(top: Path) -> Tamed:
    """Look through a workspace whose agent has ended, for what git cannot or must not meet.

    Unreadable files and directories become readable to their owner. ``.git`` below the top
    and what is neither file, directory nor link are returned to be deleted: git would run
    programs that a nested repository's configuration names, and cannot hold the others.
    Symbolic links are never followed.
    """
    nested: list[Path] = []
    special: list[Path] = []
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        _allow(directory, directory.lstat().st_mode, stat.S_IRWXU)
        with os.scandir(directory) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.name == ".git":
                    if directory != top:
                        nested.append(path)
                elif entry.is_symlink():
                    continue
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif entry.is_file(follow_symlinks=False):
                    _allow(path, entry.stat(follow_symlinks=False).st_mode, stat.S_IRUSR)
                else:
                    special.append(path)
    return Tamed(
        nested_repositories=tuple(str(path.parent.relative_to(top)) for path in nested),
        special_files=tuple(str(path.relative_to(top)) for path in special),
        delete=(*nested, *special),
    )


def _allow(path: Path, mode: int, wanted: int) -> None:
    if mode & wanted != wanted:
        path.chmod(stat.S_IMODE(mode) | wanted)
