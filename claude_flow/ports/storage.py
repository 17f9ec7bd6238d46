"""What runs leave on this host's disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from claude_flow.model.issue import Repository


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run's directory. ``mirror`` is the one that its workspace borrows objects of.

    ``has_workspace`` says whether a worktree or a repository of it is there, ``changed_at`` when
    the directory itself last changed. ``mirror`` is None where it is not known.
    """

    run_id: str
    has_workspace: bool
    changed_at: datetime
    mirror: str | None = None


@dataclass(frozen=True, slots=True)
class StoredMirror:
    """A mirror and when a run last fetched into it."""

    path: str
    used_at: datetime


class Storage(Protocol):
    """Directories of runs and mirrors. Raises WorkspaceError."""

    async def stored_runs(self) -> list[StoredRun]:
        """Every run that has a directory here."""
        ...

    async def stored_mirrors(self) -> list[StoredMirror]:
        """Every mirror."""
        ...

    def mirror_of(self, repository: Repository) -> str:
        """The path of the repository's mirror, existing or not."""
        ...

    async def workspace_bytes(self, run_ids: Iterable[str]) -> Mapping[str, int]:
        """What each run's worktree and repositories take, logs not counted."""
        ...

    async def remove_run(self, run_id: str) -> None:
        """Delete all of the run, its workspace and attempts' logs; fine if there is nothing."""
        ...

    async def remove_mirror(self, mirror: StoredMirror) -> bool:
        """Delete the mirror; False if a run has used it since."""
        ...
