"""``ports.Workspaces`` with real git.

See docs/decisions for why a run has a mirror, a repository of the agent's and one of the
daemon's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from claude_flow.errors import WorkspaceError
from claude_flow.model.issue import Repository
from claude_flow.ports import AgentPlaces, Changes, Processes, Release, Workspace
from claude_flow.workspace import agent_repository
from claude_flow.workspace.agent_repository import Identity
from claude_flow.workspace.blobs import Blobs
from claude_flow.workspace.carried import Left, Note, bring_left, put_aside
from claude_flow.workspace.files import Deleter, delete, told_plainly
from claude_flow.workspace.git import Git, Place
from claude_flow.workspace.large_files import LargeFiles, store_of
from claude_flow.workspace.mirror import Mirrors, Snapshot
from claude_flow.workspace.places import Places, RunDirectory
from claude_flow.workspace.remote import Remote
from claude_flow.workspace.result import Collector
from claude_flow.workspace.settings import WorkspaceSettings

_MIRROR_LOCK_TIMES = 2


class GitWorkspaces:
    """Implements ``ports.Workspaces``. Works from any thread's event loop."""

    def __init__(
        self,
        settings: WorkspaceSettings,
        processes: Processes,
        as_agent: Callable[[str, AgentPlaces], Processes] | None = None,
        release: Release | None = None,
    ) -> None:
        """Git runs in ``processes``.

        ``as_agent`` gives, for a run's id and places, what makes files that are the agent's, for
        only their owner may change their modes; None where the agent is no other user, as
        ``release`` is, which opens what the agent closed.
        """
        self._settings = settings
        self._processes = processes
        self._as_agent = as_agent
        self._git = Git(processes, settings)
        self._deleter = Deleter(self._git, release)
        self._remote = Remote(self._git, settings)
        self._places = Places(settings)
        self._large_files = LargeFiles(self._git, self._remote, settings)
        self._mirrors = Mirrors(
            self._git,
            self._remote,
            self._large_files,
            settings,
            lock_timeout_seconds=_MIRROR_LOCK_TIMES * settings.transfer_timeout_seconds,
        )

    async def prepare(
        self,
        run_id: str,
        repository: Repository,
        *,
        branch: str,
        start_from: str,
        carry_on: bool = False,
    ) -> Workspace:
        """Fetch the repository and make a clean worktree. See ``ports.Workspaces``."""
        where = self._places.run(run_id)
        with told_plainly(f"preparing the workspace of {run_id}"):
            self._settings.repos_directory.mkdir(parents=True, exist_ok=True)
            await self._check_branch(branch)
            if carry_on:
                await put_aside(
                    self._collector(repository),
                    where,
                    self._places.mirror(repository),
                )
                await self._delete_all(run_id, where.of_one_attempt)
            else:
                await self.remove(run_id)
            mirror = await self._mirrors.fetch(repository)
            try:
                workspace = await self._build(where, mirror, repository, branch, start_from)
            except _UnusableMirrorError:
                await self._delete_all(run_id, where.of_one_attempt)
                mirror = await self._mirrors.rebuild(repository)
                workspace = await self._build(where, mirror, repository, branch, start_from)
            await delete(self._git, where.left)
            return workspace

    async def find(self, run_id: str) -> Workspace | None:
        """The workspace that was prepared. See ``ports.Workspaces``."""
        where = self._places.run(run_id)
        note = Note.read(where)
        return _noted(where, note) if note is not None and where.is_whole else None

    def agent_places(self, run_id: str) -> AgentPlaces:
        """What of a prepared run its agent works with. Raises WorkspaceError if it is not."""
        where = self._places.run(run_id)
        note = Note.read(where)
        if note is None:
            raise WorkspaceError(
                f"the workspace of {run_id} is not prepared: {where.note} cannot be read",
                hint="somebody deleted it; ask for a new run",
            )
        mirror = Path(note.mirror)
        return AgentPlaces(
            where.workspace, where.agent, mirror / "objects", self._large_files.objects_of(mirror)
        )

    async def committed_file(
        self, repository: Repository, branch: str, path: str, *, max_bytes: int
    ) -> bytes | None:
        """A file of the server's branch. See ``ports.Workspaces``."""
        with told_plainly(f"reading {path} of {repository}"):
            blobs = Blobs(self._git, self._mirrors, self._places)
            return await blobs.read(repository, branch, path, max_bytes=max_bytes)

    async def collect(
        self, workspace: Workspace, repository: Repository, *, message: str, at: datetime
    ) -> Changes | None:
        """Commit what the agent left. See ``ports.Workspaces``."""
        where = self._places.run(workspace.run_id)
        with told_plainly(f"collecting the changes of {workspace.run_id}"):
            return await self._collector(repository).collect(
                where, self._places.mirror(repository), workspace, message=message, at=at
            )

    async def push(
        self, workspace: Workspace, repository: Repository, *, commit: str, branch: str
    ) -> None:
        """Make the server's branch this commit. See ``ports.Workspaces``."""
        where = self._places.run(workspace.run_id)
        if not where.trusted.is_dir():
            raise WorkspaceError(
                f"there is nothing collected to push for {workspace.run_id} in {where.trusted}",
                hint="somebody deleted it; ask for a new run",
            )
        trusted = Place(where.trusted)
        with told_plainly(f"pushing the changes of {workspace.run_id}"):
            await self._large_files.upload(trusted, repository, base=workspace.base, commit=commit)
            await self._remote.push(
                trusted,
                repository,
                commit=commit,
                branch=branch,
                expected=workspace.published,
            )

    async def remove(self, run_id: str) -> None:
        """Delete the worktree and its repositories; the attempts' logs stay."""
        where = self._places.run(run_id)
        with told_plainly(f"removing the workspace of {run_id}"):
            await self._delete_all(run_id, where.of_all_attempts)

    async def _delete_all(self, run_id: str, paths: Iterable[Path]) -> None:
        for path in paths:
            await self._deleter.delete(run_id, path)

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
        await agent_repository.create(
            self._git,
            where,
            mirror,
            self._identity(repository),
            ignored=self._settings.ignored(),
            with_lfs=self._large_files.is_on,
        )
        left = await bring_left(self._git, where, mirror, onto=start_from)
        if left is not None and start_from == branch and left.base != base:
            left = None  # somebody else went on with the branch: that is not to be lost
        begun = Left(base, base, base) if left is None else left
        note = Note(
            begun.base, str(mirror.path), mirror.branch(branch), carries_on=left is not None
        )
        note.write(where)
        with _mirror_to_blame():
            await self._mirrors.bring_files(repository, begun.base)
        await self._mirrors.bring_large_files(repository, begun.base)
        with _mirror_to_blame():
            await self._check_out(where, mirror.path, repository, branch, begun)
        return _noted(where, note)

    def _agents_git(self, run_id: str) -> Git:
        if self._as_agent is None:
            return self._git
        return Git(self._as_agent(run_id, self.agent_places(run_id)), self._settings)

    async def _check_out(
        self, where: RunDirectory, mirror: Path, repository: Repository, branch: str, begun: Left
    ) -> None:
        if self._as_agent is not None:
            store = store_of(where.agent)  # it may write nowhere else
        else:
            # What was left lies there with large files of its own; the others are the mirror's.
            store = store_of(where.left if where.left.is_dir() else mirror)
        await agent_repository.check_out(
            self._git,
            where,
            branch=branch,
            commit=begun.head,
            head=begun.parent,
            agents_git=self._agents_git(where.run_id),
            filters=self._large_files.filters(repository, store),
        )

    def _collector(self, repository: Repository) -> Collector:
        return Collector(
            self._git,
            self._large_files,
            repository,
            self._identity(repository),
            self._settings.ignored(),
        )

    async def _check_branch(self, branch: str) -> None:
        root = Place(self._settings.repos_directory)
        checked = await self._git.run(root, "check-ref-format", f"refs/heads/{branch}")
        if checked.exit_code != 0 or branch.startswith("-"):
            raise WorkspaceError(f"{branch!r} cannot be the name of a git branch")

    def _identity(self, repository: Repository) -> Identity:
        settings = self._settings
        return Identity(settings.url(repository), settings.author_name, settings.author_email)


def _noted(where: RunDirectory, note: Note) -> Workspace:
    return Workspace(
        where.run_id, where.workspace, note.base, note.published, carries_on=note.carries_on
    )


class _UnusableMirrorError(WorkspaceError):
    """The mirror has the branch but not all of what it needs."""


@contextmanager
def _mirror_to_blame() -> Iterator[None]:
    try:
        yield
    except WorkspaceError as error:
        raise _UnusableMirrorError(error.message, hint=error.hint) from error


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
