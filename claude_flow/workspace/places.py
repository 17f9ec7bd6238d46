"""Where the things of runs and repositories lie on this host."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from claude_flow.errors import WorkspaceError
from claude_flow.model.issue import Repository
from claude_flow.workspace.settings import WorkspaceSettings

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Where things of one run lie; attempts' logs are other neighbours in ``path``.

    ``workspace`` is the worktree.
    """

    path: Path
    run_id: str
    workspace: Path

    @property
    def agent(self) -> Path:
        """The agent's repository."""
        return self.path / "repo.git"

    @property
    def agent_worktree(self) -> Path:
        """The worktree's own part of the agent's repository, with its HEAD."""
        return self.agent / "worktrees" / self.run_id

    @property
    def index(self) -> Path:
        """The index as it was at the start, which no agent wrote to."""
        return self.path / "start.index"

    @property
    def trusted(self) -> Path:
        """The daemon's repository that the result is put together in and pushed from."""
        return self.path / "result.git"

    @property
    def note(self) -> Path:
        """What the daemon remembers of the workspace."""
        return self.path / "workspace.json"

    @property
    def left(self) -> Path:
        """The daemon's repository with what an attempt left for the next one."""
        return self.path / "left.git"

    @property
    def of_one_attempt(self) -> tuple[Path, ...]:
        """All but what is left for the next one."""
        return (self.index, self.note, self.workspace, self.agent, self.trusted)

    @property
    def of_all_attempts(self) -> tuple[Path, ...]:
        """All of the above."""
        return (*self.of_one_attempt, self.left)

    @property
    def is_whole(self) -> bool:
        """Whether a workspace was made to its end; the index comes last and goes first."""
        return self.index.is_file()


@dataclass(frozen=True, slots=True)
class Places:
    """Paths as the settings have them; nothing is made here."""

    settings: WorkspaceSettings

    def run(self, run_id: str) -> RunDirectory:
        """A run's directory. Raises WorkspaceError for an id that could lead elsewhere."""
        if not is_run_id(run_id):
            raise WorkspaceError(f"{run_id!r} cannot be a run's id")
        settings = self.settings
        return RunDirectory(
            settings.runs_directory / run_id, run_id, settings.workspace_root / run_id
        )

    def mirror(self, repository: Repository) -> Path:
        """A repository's mirror; GitHub's names do not tell capitals apart."""
        owner, name = repository.owner.lower(), repository.name.lower()
        return self.settings.repos_directory / owner / f"{name}.git"


def is_run_id(name: str) -> bool:
    """Whether a run may be called so: one plain component of a path, and no option."""
    return _RUN_ID.fullmatch(name) is not None
