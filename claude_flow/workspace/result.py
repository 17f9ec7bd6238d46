"""What an agent left, put together as one commit in a repository that no agent wrote to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shlex
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from claude_flow.errors import WorkspaceGoneError
from claude_flow.model.issue import Repository
from claude_flow.ports import Changes, Workspace
from claude_flow.workspace.agent_repository import (
    Identity,
    borrow,
    exclude,
    make_readable,
)
from claude_flow.workspace.failures import words
from claude_flow.workspace.files import delete, tame
from claude_flow.workspace.git import Git, Place
from claude_flow.workspace.large_files import LargeFiles, store_of
from claude_flow.workspace.places import RunDirectory

_log = logging.getLogger(__name__)

BASE = "refs/claude-flow/base"
"""Where the work began."""
PARENT = "refs/claude-flow/parent"
"""The last of the agent's own commits, the base if there is none."""
HEAD = "refs/claude-flow/head"
"""The result: all that the agent left."""


@dataclass(frozen=True, slots=True)
class Collector:
    """Reads workspaces whose agents have ended. Raises WorkspaceError."""

    git: Git
    large_files: LargeFiles
    repository: Repository
    identity: Identity
    ignored: tuple[str, ...]

    async def collect(
        self, where: RunDirectory, mirror: Path, workspace: Workspace, *, message: str, at: datetime
    ) -> Changes | None:
        """The workspace's content as a commit on the agent's own commits or on the base."""
        if workspace.path.is_symlink() or not workspace.path.is_dir():
            raise WorkspaceGoneError(
                f"the workspace {workspace.path} is gone or is no directory any more",
                hint="the agent or somebody else moved it, or it was made on another host",
            )
        await self._tame(workspace.path)
        await self._make_trusted(where, mirror, workspace.base)
        place = Place(where.trusted, workspace.path, where.trusted / "index")
        parent = await self._agents_head(where, mirror, workspace.base) or workspace.base
        tree = await self._write_tree(place, where.index, workspace.base, parent)
        if tree == await self._tree_of(place, workspace.base):
            return None
        await self.git.text(place, "update-ref", PARENT, parent)
        commit = parent
        if tree != await self._tree_of(place, parent):
            commit = await self._commit(place, tree, parent, message=message, at=at)
        await self.git.text(place, "update-ref", HEAD, commit)
        return await self._measured(Place(where.trusted), workspace.base, commit)

    async def _tame(self, top: Path) -> None:
        tamed = await asyncio.to_thread(tame, top)
        for nested in tamed.nested_repositories:
            _log.warning("%r has a git repository of its own; taking its files only", nested)
        for special in tamed.special_files:
            _log.warning("%r is neither a file nor a link; leaving it out", special)
        for path in tamed.delete:
            await delete(self.git, path)

    async def _make_trusted(self, where: RunDirectory, mirror: Path, base: str) -> None:
        await delete(self.git, where.trusted)
        await self.git.text(
            Place(where.path), "init", "-q", "--bare", "--template=", str(where.trusted)
        )
        borrow(where.trusted, mirror)
        exclude(where.trusted, self.ignored)
        await self.git.text(Place(where.trusted), "update-ref", BASE, base)

    async def _agents_head(self, where: RunDirectory, mirror: Path, base: str) -> str | None:
        """The agent's last commit, if it is sound and descends from the base."""
        if not await asyncio.to_thread(make_readable, where, mirror, self.identity):
            _log.warning("the git repository of %s is gone; taking the files only", where.run_id)
            return None
        place = Place(where.trusted)
        fetched = await self.git.run(
            place,
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
            "--no-recurse-submodules", f"--upload-pack={_upload_pack(where.agent_worktree)}",
            str(where.agent_worktree), f"+HEAD:{HEAD}",
            config=(("fetch.fsckObjects", "true"),),
            env={"GIT_ALLOW_PROTOCOL": "file"},
        )  # fmt: skip
        if fetched.exit_code != 0:
            _log.warning(
                "cannot read the commits of %s, taking the files only: %s",
                where.run_id,
                words(fetched.stderr),
            )
            return None
        descends = await self.git.run(place, "merge-base", "--is-ancestor", base, HEAD)
        if descends.exit_code != 0:
            return None
        if not await self.large_files.take(place, where.agent, mirror, f"{base}..{HEAD}"):
            return None
        return await self.git.text(place, "rev-parse", "--verify", f"{HEAD}^{{commit}}")

    async def _write_tree(self, place: Place, start_index: Path, base: str, parent: str) -> str:
        # The index of the start knows each file's times: what is older need not be read.
        if place.index is not None:
            _copy_if_there(start_index, place.index)
        # -i: files that differ from that index are what all this is about.
        await self.git.text(place, "read-tree", "-i", "-m", parent)
        await self._drop_new_gitlinks(place, base)
        filters = self.large_files.filters(self.repository, store_of(place.repository))
        await self.git.text(place, "add", "--all", "--", ".", config=filters)
        await self._keep_untouched(place, parent)
        return await self.git.text(place, "write-tree")

    async def _drop_new_gitlinks(self, place: Place, base: str) -> None:
        """Forget the submodules that an agent committed and the base did not have.

        Nobody else could fetch such a commit; their files are added like any others.
        """
        before = _gitlinks(await self.git.text(place, "ls-tree", "-r", "-z", base))
        now = _gitlinks(await self.git.text(place, "ls-files", "--stage", "-z"))
        if new := now - before:
            _log.warning("taking the files of %s, not the submodules", ", ".join(sorted(new)))
            names = "".join(f"{name}\0" for name in new).encode(errors="surrogateescape")
            await self.git.text(
                place, "update-index", "-z", "--force-remove", "--stdin", stdin=names
            )

    async def _keep_untouched(self, place: Place, parent: str) -> None:
        """Put back what only git's line end rules "corrected" and no agent changed.

        A file may have been committed against the rules of its own repository; git then calls
        it modified as soon as it reads it.
        """
        if place.worktree is None:
            return
        listing = await self.git.text(
            place,
            "diff-index",
            "--cached",
            "--raw",
            "-z",
            "--no-renames",
            "--diff-filter=M",
            parent,
        )
        # hash-object takes one path a line, and a leading quote for the sign of an escaped one.
        before = [
            entry
            for entry in _modified(listing)
            if "\n" not in entry.path and not entry.path.startswith('"')
        ]
        if not before:
            return
        paths = "".join(f"{entry.path}\n" for entry in before)
        now = await self.git.text(
            place,
            "hash-object", "--no-filters", "--stdin-paths",
            stdin=paths.encode(errors="surrogateescape"),
        )  # fmt: skip
        same = [
            entry for entry, blob in zip(before, now.split("\n"), strict=True) if entry.blob == blob
        ]
        lines = "".join(f"{entry.mode} {entry.blob} 0\t{entry.path}\0" for entry in same)
        await self.git.text(
            place,
            "update-index",
            "-z",
            "--index-info",
            stdin=lines.encode(errors="surrogateescape"),
        )

    async def _tree_of(self, place: Place, commit: str) -> str:
        return await self.git.text(place, "rev-parse", "--verify", f"{commit}^{{tree}}")

    async def _commit(
        self, place: Place, tree: str, parent: str, *, message: str, at: datetime
    ) -> str:
        moment = f"@{int(at.timestamp())} +0000"
        return await self.git.text(
            place,
            "commit-tree", "-p", parent, "-F", "-", tree,
            env={
                "GIT_AUTHOR_NAME": self.identity.name,
                "GIT_AUTHOR_EMAIL": self.identity.email,
                "GIT_AUTHOR_DATE": moment,
                "GIT_COMMITTER_NAME": self.identity.name,
                "GIT_COMMITTER_EMAIL": self.identity.email,
                "GIT_COMMITTER_DATE": moment,
            },
            stdin=message.rstrip("\n").encode() + b"\n",
        )  # fmt: skip

    async def _measured(self, bare: Place, base: str, commit: str) -> Changes:
        """The change in numbers. In a bare repository no attribute can call a text binary."""
        listing = await self.git.text(
            bare,
            "diff-tree", "-r", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--numstat",
            base, commit,
        )  # fmt: skip
        # "added TAB deleted TAB path", with "-" for the lines of binary files.
        rows = [row.split("\t", 2) for row in listing.split("\0") if row]
        lines = sum(int(count) for row in rows for count in row[:2] if count != "-")
        return Changes(commit, tuple(row[2] for row in rows), lines)


def _upload_pack(repository: Path) -> str:
    """Git's reader of others' repositories, allowed to read one that is another user's.

    Only so does the permission reach it: git hides its own configuration from it.
    """
    safe = shlex.quote(f"safe.directory={repository.resolve()}")
    return f"git -c {safe} upload-pack"


def _copy_if_there(source: Path, target: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, target)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file as a tree has it."""

    mode: str
    blob: str
    path: str


def _modified(listing: str) -> list[_Entry]:
    """The old side of what ``diff-index --raw -z`` printed, where it is a file with one mode."""
    fields = listing.split("\0")
    entries = []
    for meta, path in zip(fields[::2], fields[1::2], strict=False):
        old_mode, new_mode, old_blob, *_ = meta.removeprefix(":").split(" ")
        if old_mode == new_mode and old_mode.startswith("100"):
            entries.append(_Entry(old_mode, old_blob, path))
    return entries


def _gitlinks(listing: str) -> set[str]:
    """Paths of submodules in what ``ls-tree -z`` or ``ls-files --stage -z`` printed."""
    rows = (row.partition("\t") for row in listing.split("\0") if row.startswith("160000 "))
    return {path for _, _, path in rows}
