"""What an agent left, put together as one commit in a repository that no agent wrote to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from claude_flow.errors import WorkspaceError
from claude_flow.ports import Changes, Workspace
from claude_flow.workspace.agent_repository import (
    Identity,
    RunDirectory,
    borrow,
    exclude,
    make_readable,
)
from claude_flow.workspace.failures import words
from claude_flow.workspace.files import delete, tame
from claude_flow.workspace.git import Git, Place

_log = logging.getLogger(__name__)

_BASE = "refs/claude-flow/base"
_HEAD = "refs/claude-flow/head"


@dataclass(frozen=True, slots=True)
class Collector:
    """Reads workspaces whose agents have ended. Raises WorkspaceError."""

    git: Git
    identity: Identity
    ignored: tuple[str, ...]

    async def collect(
        self, where: RunDirectory, mirror: Path, workspace: Workspace, *, message: str, at: datetime
    ) -> Changes | None:
        """The workspace's content as a commit on the agent's own commits or on the base."""
        if workspace.path.is_symlink() or not workspace.path.is_dir():
            raise WorkspaceError(
                f"the workspace {workspace.path} is gone or is no directory any more",
                hint="the agent or somebody else moved it; ask for a new run",
            )
        await self._tame(workspace.path)
        await self._make_trusted(where, mirror, workspace.base)
        place = Place(where.trusted, workspace.path, where.trusted / "index")
        parent = await self._agents_head(where, mirror, workspace.base) or workspace.base
        tree = await self._write_tree(place, where.index, parent)
        if tree == await self._tree_of(place, workspace.base):
            return None
        commit = parent
        if tree != await self._tree_of(place, parent):
            commit = await self._commit(place, tree, parent, message=message, at=at)
        await self.git.text(place, "update-ref", _HEAD, commit)
        return Changes(commit, await self._count_files(place, workspace.base, commit))

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
        await self.git.text(Place(where.trusted), "update-ref", _BASE, base)

    async def _agents_head(self, where: RunDirectory, mirror: Path, base: str) -> str | None:
        """The agent's last commit, if it is sound and descends from the base."""
        if not await asyncio.to_thread(make_readable, where, mirror, self.identity):
            _log.warning("the git repository of %s is gone; taking the files only", where.run_id)
            return None
        place = Place(where.trusted)
        fetched = await self.git.run(
            place,
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
            "--no-recurse-submodules", str(where.agent_worktree), f"+HEAD:{_HEAD}",
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
        descends = await self.git.run(place, "merge-base", "--is-ancestor", base, _HEAD)
        if descends.exit_code != 0:
            return None
        return await self.git.text(place, "rev-parse", "--verify", f"{_HEAD}^{{commit}}")

    async def _write_tree(self, place: Place, start_index: Path, parent: str) -> str:
        # The index of the start knows each file's times: what the agent did not touch is
        # neither read again nor "corrected" by the repository's own line end rules.
        if place.index is not None:
            _copy_if_there(start_index, place.index)
        await self.git.text(place, "read-tree", "-m", parent)
        await self.git.text(place, "add", "--all", "--", ".")
        return await self.git.text(place, "write-tree")

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

    async def _count_files(self, place: Place, base: str, commit: str) -> int:
        names = await self.git.text(
            place, "diff-tree", "-r", "-z", "--no-renames", "--name-only", base, commit
        )
        return names.count("\0")


def _copy_if_there(source: Path, target: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, target)
