"""``ports.Storage``: what runs left on this host, listed, measured and deleted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from claude_flow.model.issue import Repository
from claude_flow.ports import Processes, Release, StoredMirror, StoredRun
from claude_flow.workspace.carried import Note
from claude_flow.workspace.files import Deleter, delete, told_plainly
from claude_flow.workspace.git import Git
from claude_flow.workspace.locks import locked
from claude_flow.workspace.mirror import lock_of
from claude_flow.workspace.places import Places, RunDirectory, is_run_id
from claude_flow.workspace.settings import WorkspaceSettings

_PATHS_AT_ONCE = 500
_LOCK_SECONDS = 1.0


class WorkspaceStorage:
    """Implements ``ports.Storage``.

    Only what lies in the runs' directory counts as a run: the workspace root may be a directory
    that others use as well.
    """

    def __init__(
        self, settings: WorkspaceSettings, processes: Processes, release: Release | None = None
    ) -> None:
        self._settings = settings
        self._git = Git(processes, settings)
        self._deleter = Deleter(self._git, release)
        self._places = Places(settings)

    async def stored_runs(self) -> list[StoredRun]:
        """Every run that has a directory here. See ``ports.Storage``."""
        with told_plainly("listing the runs' directories"):
            return await asyncio.to_thread(lambda: list(self._stored_runs()))

    def _stored_runs(self) -> Iterator[StoredRun]:
        for name in _directories(self._settings.runs_directory):
            if not is_run_id(name):
                continue
            where = self._places.run(name)
            changed_at = _changed_at(where.path)
            if changed_at is None:
                continue
            note = Note.read(where)
            yield StoredRun(
                name,
                has_workspace=bool(_of_workspace(where)),
                changed_at=changed_at,
                mirror=None if note is None else note.mirror,
            )

    async def stored_mirrors(self) -> list[StoredMirror]:
        """Every mirror. See ``ports.Storage``."""
        with told_plainly("listing the mirrors"):
            return await asyncio.to_thread(lambda: list(self._stored_mirrors()))

    def _stored_mirrors(self) -> Iterator[StoredMirror]:
        top = self._settings.repos_directory
        for owner in _directories(top):
            for name in _directories(top / owner):
                path = top / owner / name
                used_at = _changed_at(lock_of(path))
                if path.suffix == ".git" and used_at is not None:
                    yield StoredMirror(str(path), used_at)

    def mirror_of(self, repository: Repository) -> str:
        """The path of the repository's mirror. See ``ports.Storage``."""
        return str(self._places.mirror(repository))

    async def workspace_bytes(self, run_ids: Iterable[str]) -> Mapping[str, int]:
        """What each run's worktree and repositories take. See ``ports.Storage``."""
        owners = {
            str(path): run_id
            for run_id in run_ids
            for path in _of_workspace(self._places.run(run_id))
        }
        sizes = dict.fromkeys(owners.values(), 0)
        paths = list(owners)
        for start in range(0, len(paths), _PATHS_AT_ONCE):
            # It says what it cannot read, and still the sum of the rest.
            done = await self._git.program(
                ("du", "-s", "-x", "--block-size=1", "--", *paths[start : start + _PATHS_AT_ONCE]),
                cwd=Path("/"),
            )
            for line in done.stdout.decode(errors="surrogateescape").splitlines():
                size, _, path = line.partition("\t")
                if path in owners:
                    sizes[owners[path]] += int(size)
        return sizes

    async def remove_run(self, run_id: str) -> None:
        """Delete all of the run. See ``ports.Storage``."""
        where = self._places.run(run_id)
        with told_plainly(f"removing what is left of {run_id}"):
            for path in (*where.of_all_attempts, where.path):
                await self._deleter.delete(run_id, path)

    async def remove_mirror(self, mirror: StoredMirror) -> bool:
        """Delete the mirror unless it was used since. See ``ports.Storage``."""
        path = Path(mirror.path)
        with told_plainly(f"removing the mirror {path}"):
            async with locked(lock_of(path), timeout_seconds=_LOCK_SECONDS):
                if _changed_at(lock_of(path)) != mirror.used_at:
                    return False
                await delete(self._git, path)
        return True


def _of_workspace(where: RunDirectory) -> list[Path]:
    return [path for path in where.of_all_attempts if os.path.lexists(path)]


def _directories(top: Path) -> list[str]:
    try:
        with os.scandir(top) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def _changed_at(path: Path) -> datetime | None:
    """When it last changed; None if it went in the meantime."""
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except FileNotFoundError:
        return None
