"""Git: mirrors of repositories, worktrees for agents, and what comes back out of them."""

from __future__ import annotations

from claude_flow.workspace.settings import Credential, WorkspaceSettings
from claude_flow.workspace.space import Space, SpaceWatch
from claude_flow.workspace.storage import WorkspaceStorage
from claude_flow.workspace.workspaces import GitWorkspaces

__all__ = [
    "Credential",
    "GitWorkspaces",
    "Space",
    "SpaceWatch",
    "WorkspaceSettings",
    "WorkspaceStorage",
]
