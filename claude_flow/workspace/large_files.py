"""Git LFS: the large files that lie beside a repository's history, behind pointers in it.

The program git-lfs does the work. What it goes by is said here and wins over every file: the
repository's and the agent's ``.lfsconfig`` name no server, and no filter is theirs. An agent's
objects are taken only if their content is what their name says.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from claude_flow.model.issue import Repository
from claude_flow.workspace.git import Git, Place
from claude_flow.workspace.remote import Remote
from claude_flow.workspace.settings import WorkspaceSettings

_log = logging.getLogger(__name__)

# Without the worktree git-lfs takes the repository for a bare one and reads no .lfsconfig in it.
_PROGRAM = "env -u GIT_WORK_TREE git-lfs"
FILTERS = (
    ("filter.lfs.process", f"{_PROGRAM} filter-process"),
    ("filter.lfs.clean", f"{_PROGRAM} clean -- %f"),
    ("filter.lfs.smudge", f"{_PROGRAM} smudge -- %f"),
    ("filter.lfs.required", "true"),
)
"""What makes git put pointers for large files into history, and content into the worktree."""

_BARE_FILTERS = "".join(
    f"\t{key.rpartition('.')[2]} = {value.removeprefix('env -u GIT_WORK_TREE ')}\n"
    for key, value in FILTERS
)
AGENTS_CONFIG = f'[filter "lfs"]\n{_BARE_FILTERS}'
"""The same in the words of a configuration file, for an agent's own git."""

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n"
    rb"(?:ext-[^\n]+\n)*oid sha256:([0-9a-f]{64})\nsize [0-9]+\n?"
)
_LONGEST_POINTER = 1024  # bytes, by the specification
_OBJECTS_AT_ONCE = 100
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class LargeFiles:
    """The large files of all repositories. Raises WorkspaceError."""

    git: Git
    remote: Remote
    settings: WorkspaceSettings

    @property
    def is_on(self) -> bool:
        """Whether large files are taken care of; if not, pointers are files like any others."""
        return self.settings.lfs()

    def objects_of(self, mirror: Path) -> Path | None:
        """The directory of a mirror's large files; None if it has none, or none are wanted."""
        objects = store_of(mirror) / "objects"
        return objects if self.is_on and objects.is_dir() else None

    def filters(self, repository: Repository, store: Path) -> tuple[tuple[str, str], ...]:
        """Configuration for a git that checks out or adds files; objects lie in ``store``."""
        if not self.is_on:
            return ()
        return (*FILTERS, *self._told(repository), ("lfs.storage", str(store)))

    async def bring(
        self, mirror: Path, repository: Repository, commit: str, *, keep_open: int
    ) -> None:
        """Fetch what the commit's pointers stand for into the mirror."""
        if not self.is_on:
            return
        url = self.settings.url(repository)
        done = await self.remote.lfs(
            Place(mirror),
            "fetch", url, commit,
            config=self._told(repository),
            keep_open=(keep_open,),
        )  # fmt: skip
        if done.exit_code != 0:
            raise self.remote.error("fetching large files of", repository, done)

    async def take(self, trusted: Place, agent: Path, mirror: Path, commits: str) -> bool:
        """Copy what the commits' pointers stand for from the agent's store; False if it lacks."""
        if not self.is_on:
            return True
        for oid in await self._pointers(trusted, commits):
            if object_in(mirror, oid).is_file():
                continue
            source, target = object_in(agent, oid), object_in(trusted.repository, oid)
            if not await asyncio.to_thread(_copy_verified, source, target, oid):
                _log.warning("the agent committed a pointer to the large file %s without it", oid)
                return False
        return True

    async def upload(
        self, trusted: Place, repository: Repository, *, base: str, commit: str
    ) -> None:
        """Bring to the server what new pointers between the commits stand for."""
        if not self.is_on:
            return
        store = trusted.repository
        pointers = await self._pointers(trusted, f"{base}..{commit}")
        new = [oid for oid in pointers if object_in(store, oid).is_file()]
        for start in range(0, len(new), _OBJECTS_AT_ONCE):
            done = await self.remote.lfs(
                trusted,
                "push", "--object-id", self.settings.url(repository),
                *new[start : start + _OBJECTS_AT_ONCE],
                config=self._told(repository),
            )  # fmt: skip
            if done.exit_code != 0:
                raise self.remote.error("pushing large files of", repository, done)

    def _told(self, repository: Repository) -> tuple[tuple[str, str], ...]:
        """All that a repository's own .lfsconfig could have a say in."""
        url = self.settings.url(repository)
        if urlsplit(url).scheme != "file":
            url = f"{url}/info/lfs"
        return (
            ("lfs.url", url),
            ("lfs.pushurl", url),
            (f"lfs.{url}.access", "basic"),
            ("lfs.fetchinclude", ""),
            ("lfs.fetchexclude", ""),
            ("lfs.fetchrecentalways", "false"),
            ("lfs.skipdownloaderrors", "false"),
            ("lfs.allowincompletepush", "false"),
            ("lfs.locksverify", "false"),
            ("lfs.basictransfersonly", "true"),
        )

    async def _pointers(self, place: Place, commits: str) -> list[str]:
        """Which objects the pointers stand for that came with the commits."""
        listing = await self.git.text(place, "rev-list", "--objects", "--no-object-names", commits)
        checked = await self.git.text(
            place,
            "cat-file", "--batch-check=%(objecttype) %(objectsize) %(objectname)",
            stdin=f"{listing}\n".encode(),
        )  # fmt: skip
        small = "".join(f"{name}\n" for name in _small_blobs(checked))
        if not small:
            return []
        contents = await self.git.run(place, "cat-file", "--batch", stdin=small.encode())
        found = (_POINTER.fullmatch(blob) for blob in _blobs(contents.stdout))
        return list(dict.fromkeys(match[1].decode() for match in found if match))


def store_of(repository: Path) -> Path:
    """Where a repository's large files lie."""
    return repository / "lfs"


def object_in(repository: Path, oid: str) -> Path:
    """The file of one object in a repository's store."""
    return store_of(repository) / "objects" / oid[:2] / oid[2:4] / oid


def hand_over(source: Path, target: Path) -> None:
    """Copy one repository's large files to another, which has none of them. Raises OSError."""
    objects = store_of(source) / "objects"
    if objects.is_dir():
        shutil.copytree(objects, store_of(target) / "objects", dirs_exist_ok=True)


def _small_blobs(checked: str) -> Iterator[str]:
    for line in checked.splitlines():
        match line.split(" "):
            case ["blob", size, name] if int(size) <= _LONGEST_POINTER:
                yield name


def _blobs(batch: bytes) -> Iterator[bytes]:
    """The contents that ``cat-file --batch`` printed: "name type size", content, line break."""
    start = 0
    while start < len(batch):
        end = batch.index(b"\n", start)
        size = int(batch[start:end].rsplit(b" ", 1)[1])
        yield batch[end + 1 : end + 1 + size]
        start = end + size + 2


def _copy_verified(source: Path, target: Path, oid: str) -> bool:
    if source.is_symlink() or not source.is_file():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    digest = hashlib.sha256()
    with source.open("rb") as content, unfinished.open("wb") as copy:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
    if digest.hexdigest() != oid:
        unfinished.unlink()
        return False
    unfinished.rename(target)
    return True
