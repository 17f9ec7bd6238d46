"""Mirrors and worktrees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from claude_flow.model.issue import Repository


@dataclass(frozen=True, slots=True)
class Workspace:
    """A git worktree of one run.

    ``base`` is the commit it started from; ``published`` the commit that the run's branch had
    on the server then, None if there was no such branch. ``carries_on`` says whether it holds
    what an earlier attempt left.
    """

    run_id: str
    path: Path
    base: str
    published: str | None
    carries_on: bool = False


Release = Callable[[str, Path], Awaitable[None]]
"""Opens to the service what an agent, another user, closed below a directory of the run.

Raises ProcessError.
"""


@dataclass(frozen=True, slots=True)
class AgentPlaces:
    """What of a prepared run its agent works with.

    ``workspace`` and ``repository``, with its commits, are its own to change; ``objects`` are
    the mirror's, which it reads, and so are ``large_files``, None where there are none.
    """

    workspace: Path
    repository: Path
    objects: Path
    large_files: Path | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What an attempt changed: one commit on top of, or descending from, the base.

    ``paths`` are all that differ from the base, both names of a renamed file among them;
    ``lines`` how many were added and deleted together, none in binary files.
    """

    commit: str
    paths: tuple[str, ...]
    lines: int

    @property
    def files(self) -> int:
        """How many files differ."""
        return len(self.paths)


class Workspaces(Protocol):
    """Mirrors and worktrees. Raises WorkspaceError."""

    async def prepare(
        self,
        run_id: str,
        repository: Repository,
        *,
        branch: str,
        start_from: str,
        carry_on: bool = False,
    ) -> Workspace:
        """Fetch the repository and make a clean worktree at branch ``start_from``.

        Its checked-out branch is called ``branch``. Done again, it starts clean again, but with
        ``carry_on`` from what this run's workspace held: the agent's commits and its changes
        beside them, on the base they had. Only content is taken over, nothing configured; where
        there is none, or the branch was rewritten, it starts clean.
        """
        ...

    async def find(self, run_id: str) -> Workspace | None:
        """The workspace as it was prepared last, whatever an agent did in it since; or None."""
        ...

    async def committed_file(
        self, repository: Repository, branch: str, path: str, *, max_bytes: int
    ) -> bytes | None:
        """The file that the server's branch had when ``prepare`` fetched it last; None if none.

        Raises CommittedFileError if it is larger, or a link or a directory.
        """
        ...

    async def collect(
        self, workspace: Workspace, repository: Repository, *, message: str, at: datetime
    ) -> Changes | None:
        """Commit what the agent left uncommitted; None if nothing differs from the base.

        The same content, message and moment give the same commit. Nothing that an agent
        could have written (hooks, filters, configuration) takes effect.
        """
        ...

    async def push(
        self, workspace: Workspace, repository: Repository, *, commit: str, branch: str
    ) -> None:
        """Make the server's branch this commit; fine if it is already.

        Raises PushRejectedError if the server refuses or somebody else moved the branch.
        """
        ...

    async def remove(self, run_id: str) -> None:
        """Delete the run's worktree; fine if there is none."""
        ...
