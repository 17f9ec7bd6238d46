"""``ports.Workspaces`` with real git.

See docs/decisions for why a run has a mirror, a repository of the agent's and one of the
daemon's.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from claude_flow.errors import WorkspaceError
from claude_flow.model.issue import Repository
from claude_flow.ports import Changes, Processes, Workspace
from claude_flow.workspace import agent_repository
from claude_flow.workspace.agent_repository import Identity, RunDirectory
from claude_flow.workspace.files import delete, told_plainly
from claude_flow.workspace.git import Git, Place
from claude_flow.workspace.mirror import Mirrors, Snapshot
from claude_flow.workspace.remote import Remote
from claude_flow.workspace.result import Collector
from claude_flow.workspace.settings import WorkspaceSettings

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_MIRROR_LOCK_TIMES = 2


class GitWorkspaces:
    """Implements ``ports.Workspaces``. Works from any thread's event loop."""

    def __init__(self, settings: WorkspaceSettings, processes: Processes) -> None:
        self._settings = settings
        self._git = Git(processes, settings)
        self._remote = Remote(self._git, settings)
        self._mirrors = Mirrors(
            self._git,
            self._remote,
            settings.repos_directory,
            lock_timeout_seconds=_MIRROR_LOCK_TIMES * settings.transfer_timeout_seconds,
        )

    async def prepare(
        self, run_id: str, repository: Repository, *, branch: str, start_from: str
    ) -> Workspace:
        """Fetch the repository and make a clean worktree. See ``ports.Workspaces``."""
        where = self._run_directory(run_id)
        with told_plainly(f"preparing the workspace of {run_id}"):
            self._settings.repos_directory.mkdir(parents=True, exist_ok=True)
            await self._check_branch(branch)
            await self.remove(run_id)
            mirror = await self._mirrors.fetch(repository)
            try:
                return await self._build(where, mirror, repository, branch, start_from)
            except _UnusableMirrorError:
                await self.remove(run_id)
                mirror = await self._mirrors.rebuild(repository)
                return await self._build(where, mirror, repository, branch, start_from)

    async def collect(
        self, workspace: Workspace, repository: Repository, *, message: str, at: datetime
    ) -> Changes | None:
        """Commit what the agent left. See ``ports.Workspaces``."""
        where = self._run_directory(workspace.run_id)
        collector = Collector(self._git, self._identity(repository), self._settings.ignored())
        with told_plainly(f"collecting the changes of {workspace.run_id}"):
            return await collector.collect(
                where, self._mirrors.path(repository), workspace, message=message, at=at
            )

    async def push(
        self, workspace: Workspace, repository: Repository, *, commit: str, branch: str
    ) -> None:
        """Make the server's branch this commit. See ``ports.Workspaces``."""
        where = self._run_directory(workspace.run_id)
        if not where.trusted.is_dir():
            raise WorkspaceError(
                f"there is nothing collected to push for {workspace.run_id} in {where.trusted}",
                hint="somebody deleted it; ask for a new run",
            )
        with told_plainly(f"pushing the changes of {workspace.run_id}"):
            await self._remote.push(
                Place(where.trusted),
                repository,
                commit=commit,
                branch=branch,
                expected=workspace.published,
            )

    async def remove(self, run_id: str) -> None:
        """Delete the worktree and its repositories; the attempts' logs stay."""
        where = self._run_directory(run_id)
        with told_plainly(f"removing the workspace of {run_id}"):
            for path in (self._workspace(run_id), *where.everything):
                await delete(self._git, path)

    async def _build(
        self,
        where: RunDirectory,
        mirror: Snapshot,
        repository: Repository,
        branch: str,
        start_from: str,
    ) -> Workspace:
        base = mirror.branch(start_from)
        if base is None:
            raise _no_branch(repository, start_from, mirror)
        path = self._workspace(where.run_id)
        await agent_repository.create(
            self._git, where, mirror, self._identity(repository), ignored=self._settings.ignored()
        )
        try:
            await agent_repository.check_out(self._git, where, path, branch=branch, commit=base)
        except WorkspaceError as error:
            raise _UnusableMirrorError(error.message, hint=error.hint) from error
        return Workspace(where.run_id, path, base, mirror.branch(branch))

    async def _check_branch(self, branch: str) -> None:
        root = Place(self._settings.repos_directory)
        checked = await self._git.run(root, "check-ref-format", f"refs/heads/{branch}")
        if checked.exit_code != 0 or branch.startswith("-"):
            raise WorkspaceError(f"{branch!r} cannot be the name of a git branch")

    def _run_directory(self, run_id: str) -> RunDirectory:
        if _RUN_ID.fullmatch(run_id) is None:
            raise WorkspaceError(f"{run_id!r} cannot be a run's id")
        return RunDirectory(self._settings.runs_directory / run_id, run_id)

    def _workspace(self, run_id: str) -> Path:
        return self._settings.workspace_root / run_id

    def _identity(self, repository: Repository) -> Identity:
        settings = self._settings
        return Identity(settings.url(repository), settings.author_name, settings.author_email)


class _UnusableMirrorError(WorkspaceError):
    """The mirror has the branch but not all of what it needs."""


def _no_branch(repository: Repository, name: str, mirror: Snapshot) -> WorkspaceError:
    if not mirror.branches:
        return WorkspaceError(
            f"the repository {repository} is empty", hint="push a first commit to it"
        )
    known = ", ".join(sorted(mirror.branches)[:5])
    return WorkspaceError(
        f"the repository {repository} has no branch {name!r}",
        hint=f"it has {known}; was the default branch renamed?",
    )
