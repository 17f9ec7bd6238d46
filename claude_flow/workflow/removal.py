"""A workspace's end: the repository's hook before it, and then it goes whatever came of that."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from claude_flow.errors import GitHubError, WorkflowFileError, WorkspaceError
from claude_flow.model.run import Run
from claude_flow.ports import GitHub, Workspaces
from claude_flow.workflow import hooks
from claude_flow.workflow.briefing import Briefing
from claude_flow.workflow.commands import Commands, task_of
from claude_flow.workflow.publisher import Target
from claude_flow.workflow_file import Hooks

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceRemoval:
    """Removes workspaces of runs that nothing works on."""

    github: GitHub
    workspaces: Workspaces
    briefing: Briefing
    commands: Commands
    runs_directory: Path

    async def remove(self, run_id: str, run: Run | None, target: Target | None = None) -> None:
        """Remove what the run has of a workspace. Raises WorkspaceError.

        ``run`` is None if the record does not know it: then nobody can tell whose hook to run.
        ``target`` spares a question to GitHub.
        """
        if run is not None:
            await self.run_hook(run, target, part=hooks.BEFORE_REMOVE)
        await self.workspaces.remove(run_id)

    async def run_hook(self, run: Run, target: Target | None, *, part: str) -> None:
        """Have the hook run, if there is one and a whole workspace for it; never raises its fault.

        One that is half removed gets none: the hook was run before that began.
        """
        workspace = await self.workspaces.find(run.id)
        if workspace is None or not workspace.path.is_dir():
            return
        try:
            found = await self._hooks(run, target)
        except (GitHubError, WorkflowFileError, WorkspaceError) as error:
            _log.warning("no hook runs before the workspace of %s goes: %s", run.id, error)
            return
        task = task_of(run, workspace, self.runs_directory)
        await hooks.before_remove(self.commands, task, part, found)

    async def _hooks(self, run: Run, target: Target | None) -> Hooks:
        """As the default branch says now. Not patient: room may be short."""
        if target is not None:
            return (await self.briefing.plan(target.repository, target.base_branch)).hooks
        info = await asyncio.to_thread(self.github.repository, run.issue.repository)
        return (await self.briefing.plan(info.repository, info.default_branch)).hooks
