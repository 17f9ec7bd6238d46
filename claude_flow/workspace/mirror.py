"""The daemon's trusted copy of a repository: a bare mirror that no agent can write to.

Only here do credentials and git meet. Its objects are shared with every run's own repository,
so nothing is ever pruned; a mirror that git cannot use any more is made anew beside the old
one, which then goes.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from claude_flow.model.issue import Repository
from claude_flow.workspace.failures import Fault, fault, words
from claude_flow.workspace.files import delete
from claude_flow.workspace.git import Git, Place
from claude_flow.workspace.large_files import LargeFiles
from claude_flow.workspace.locks import locked
from claude_flow.workspace.places import Places
from claude_flow.workspace.remote import Remote
from claude_flow.workspace.settings import WorkspaceSettings

_log = logging.getLogger(__name__)

_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_BRANCH = "refs/heads/"
# Every fetch that brings something leaves a pack; with very many, each look-up is slow.
_MANY_PACKS = 40
_SERVER = "origin"
_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
_WITHOUT_FILES = """\
[core]
\trepositoryformatversion = 1
\tfilemode = true
\tbare = true
[extensions]
\tpartialClone = origin
[remote "origin"]
\turl = "%s"
\tpromisor = true
\tpartialCloneFilter = blob:none
"""
# Garbage of fetches that were killed; nobody else writes while the lock is held.
_LEFTOVERS = ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/**/tmp_obj_*")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A mirror as it was after a fetch: its directory and every branch and tag."""

    path: Path
    refs: Mapping[str, str]

    def branch(self, name: str) -> str | None:
        """The commit of a branch, or None."""
        return self.refs.get(_BRANCH + name)

    @property
    def branches(self) -> list[str]:
        """Names of all branches."""
        return [ref.removeprefix(_BRANCH) for ref in self.refs if ref.startswith(_BRANCH)]


class Mirrors:
    """All mirrors of this host, below one directory. Raises WorkspaceError."""

    def __init__(
        self,
        git: Git,
        remote: Remote,
        large_files: LargeFiles,
        settings: WorkspaceSettings,
        *,
        lock_timeout_seconds: float,
    ) -> None:
        self._git = git
        self._remote = remote
        self._large_files = large_files
        self._settings = settings
        self._places = Places(settings)
        self._lock_timeout = lock_timeout_seconds

    async def fetch(self, repository: Repository) -> Snapshot:
        """Bring the mirror up to date, making or mending it where needed."""
        path = self._places.mirror(repository)
        async with self._locked(path) as lock:
            if (path / "HEAD").is_file() and self._is_fit(path):
                await self._update(path, repository, lock)
            else:
                await self._replace(path, repository, lock)
            return Snapshot(path, await self._refs(path))

    async def rebuild(self, repository: Repository) -> Snapshot:
        """Make the mirror anew, from nothing but the server."""
        path = self._places.mirror(repository)
        async with self._locked(path) as lock:
            await self._replace(path, repository, lock)
            return Snapshot(path, await self._refs(path))

    async def bring_files(self, repository: Repository, commit: str) -> None:
        """See to it that the content of a commit's files is here and not only at the server."""
        if not self._settings.partial_clone():
            return
        path = self._places.mirror(repository)
        async with self._locked(path) as lock:
            listing = await self._git.text(
                Place(path), "rev-list", "--objects", "--missing=print", f"{commit}^{{tree}}"
            )
            missing = [line[1:] for line in listing.split("\n") if line.startswith("?")]
            if not missing:
                return
            done = await self._remote.fetch_objects(Place(path), _SERVER, missing, keep_open=lock)
            if done.exit_code != 0:
                raise self._remote.error("fetching files of", repository, done)

    async def bring_large_files(self, repository: Repository, commit: str) -> None:
        """See to it that what the commit's pointers stand for is here, when it is wanted."""
        if not self._large_files.is_on:
            return
        path = self._places.mirror(repository)
        async with self._locked(path) as lock:
            await self._large_files.bring(path, repository, commit, keep_open=lock)

    def _is_fit(self, path: Path) -> bool:
        """Whether the mirror holds what is wanted of it now."""
        return self._settings.partial_clone() or not any(path.glob("objects/pack/*.promisor"))

    def _source(self, path: Path, repository: Repository) -> str:
        """Configure the mirror anew, so that nothing else that is said there ever counts."""
        url = self._settings.url(repository)
        partial = self._settings.partial_clone()
        (path / "config").write_text(_WITHOUT_FILES % url if partial else _CONFIG)
        return _SERVER if partial else url

    @asynccontextmanager
    async def _locked(self, path: Path) -> AsyncIterator[int]:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock_path = lock_of(path)
        async with locked(lock_path, timeout_seconds=self._lock_timeout) as lock:
            os.utime(lock_path)  # tells when the mirror was last used
            yield lock

    async def _update(self, path: Path, repository: Repository, lock: int) -> None:
        _sweep(path)
        source = self._source(path, repository)
        done = await self._remote.fetch(Place(path), source, _REFSPECS, keep_open=lock)
        if done.exit_code == 0:
            await self._pack(path)
        elif fault(done.stderr) is Fault.OTHER:
            _log.warning("making the mirror %s anew: %s", path, words(done.stderr))
            await self._replace(path, repository, lock)
        else:
            raise self._remote.error("fetching", repository, done)

    async def _replace(self, path: Path, repository: Repository, lock: int) -> None:
        async with self._beside(path) as fresh:
            await self._git.text(
                Place(fresh.parent), "init", "--quiet", "--bare", "--template=", str(fresh)
            )
            source = self._source(fresh, repository)
            done = await self._remote.fetch(Place(fresh), source, _REFSPECS, keep_open=lock)
            if done.exit_code != 0:
                raise self._remote.error("cloning", repository, done)
            await delete(self._git, _swap(fresh, path))

    @asynccontextmanager
    async def _beside(self, path: Path) -> AsyncIterator[Path]:
        fresh, old = path.with_suffix(".new"), path.with_suffix(".old")
        for leftover in (fresh, old):
            await delete(self._git, leftover)
        try:
            yield fresh
        finally:
            # Not by a program: this also runs while being cancelled.
            shutil.rmtree(fresh, ignore_errors=True)

    async def _refs(self, path: Path) -> dict[str, str]:
        listing = await self._git.text(
            Place(path), "for-each-ref", "--format=%(objectname) %(refname)"
        )
        pairs = (line.split(" ", 1) for line in listing.split("\n") if line)
        return {ref: commit for commit, ref in pairs}

    async def _pack(self, path: Path) -> None:
        packs = sum(1 for _ in (path / "objects" / "pack").glob("*.pack"))
        if packs <= _MANY_PACKS:
            return
        # Keep what no branch needs any more: runs may still build on it. Only packs that hold
        # everything can be rolled up; the others are packed anew.
        how = ("-a", "--keep-unreachable") if self._settings.partial_clone() else ("--geometric=2",)
        done = await self._git.run(Place(path), "repack", *how, "-d", "-q")
        if done.exit_code != 0:
            _log.warning("could not repack the mirror %s: %s", path, words(done.stderr))


def lock_of(mirror: Path) -> Path:
    """The file that is locked while the mirror changes; its time tells when it was last used."""
    return mirror.with_suffix(".lock")


def _swap(fresh: Path, path: Path) -> Path:
    """Put ``fresh`` in the place of ``path``; where the old one now is."""
    old = path.with_suffix(".old")
    if path.exists():
        path.rename(old)
    fresh.rename(path)
    return old


def _sweep(path: Path) -> None:
    for pattern in _LEFTOVERS:
        for leftover in path.glob(pattern):
            _log.warning("deleting %s, left by a git that was killed", leftover)
            leftover.unlink(missing_ok=True)
