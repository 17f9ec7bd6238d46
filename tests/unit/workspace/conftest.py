from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from claude_flow.execution.processes import ProcessRunner
from claude_flow.model.issue import Repository
from claude_flow.ports import Changes, Workspace
from claude_flow.workspace import GitWorkspaces, WorkspaceSettings

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
BRANCH = "claude-flow/issue-7"
WIDGETS = Repository("octo", "widgets")


def git(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Git as a developer or an agent runs it, with nothing of this machine's configuration."""
    return subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=cwd,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(cwd),
            "GIT_CONFIG_NOSYSTEM": "1",
            **(env or {}),
        },
        check=True,
        capture_output=True,
        text=True,
        errors="surrogateescape",
    ).stdout.strip()


@dataclass
class Scene:
    """One repository on a server reached by file address, and the workspaces over it."""

    directory: Path
    settings: WorkspaceSettings

    @property
    def workspaces(self) -> GitWorkspaces:
        return GitWorkspaces(self.settings, ProcessRunner())

    @property
    def server(self) -> Path:
        return self.directory / "server/octo/widgets.git"

    @property
    def mirror(self) -> Path:
        return self.settings.repos_directory / "octo/widgets.git"

    def run(self, run_id: str = "r-1") -> Path:
        return self.settings.runs_directory / run_id

    def change(self, **settings: object) -> None:
        self.settings = replace(self.settings, **settings)  # type: ignore[arg-type] # any field

    def publish(self, write: Callable[[Path], None], branch: str = "main") -> str:
        """Push a commit as a developer; ``write`` changes the clone's files."""
        clone = self.directory / "clone"
        if not clone.exists():
            git("clone", "-q", str(self.server), str(clone), cwd=self.directory)
            git("config", "user.name", "Dev", cwd=clone)
            git("config", "user.email", "dev@example.com", cwd=clone)
        write(clone)
        git("add", "-A", cwd=clone)
        git("commit", "-q", "--allow-empty", "-m", "Change", cwd=clone)
        git("push", "-q", "origin", f"HEAD:refs/heads/{branch}", cwd=clone)
        return git("rev-parse", "HEAD", cwd=clone)

    async def prepare(
        self, run_id: str = "r-1", start_from: str = "main", *, carry_on: bool = False
    ) -> Workspace:
        return await self.workspaces.prepare(
            run_id, WIDGETS, branch=BRANCH, start_from=start_from, carry_on=carry_on
        )

    async def collect(self, workspace: Workspace) -> Changes | None:
        return await self.workspaces.collect(workspace, WIDGETS, message="Done", at=AT)

    async def push(self, workspace: Workspace, changes: Changes) -> None:
        await self.workspaces.push(workspace, WIDGETS, commit=changes.commit, branch=BRANCH)

    def tree(self, changes: Changes, run_id: str = "r-1") -> dict[str, str]:
        """``path: mode type`` of everything in the collected commit."""
        listing = git("ls-tree", "-r", "-z", changes.commit, cwd=self.run(run_id) / "result.git")
        rows = (row.split("\t", 1) for row in listing.split("\0") if row)
        return {path: " ".join(meta.split(" ")[:2]) for meta, path in rows}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    server = tmp_path / "server/octo/widgets.git"
    server.parent.mkdir(parents=True)
    git("init", "-q", "--bare", "-b", "main", str(server), cwd=tmp_path)
    scene = Scene(
        tmp_path,
        WorkspaceSettings(
            repos_directory=tmp_path / "state/repos",
            runs_directory=tmp_path / "state/runs",
            workspace_root=tmp_path / "workspaces",
            git_base_url=f"file://{tmp_path}/server",
            credential=lambda: None,
            host_environment=os.environ,
            author_name="claude-flow",
            author_email="claude-flow@example.com",
            local_timeout_seconds=20,
        ),
    )

    def begin(clone: Path) -> None:
        git("checkout", "-q", "-b", "main", cwd=clone)
        (clone / "README.md").write_text("# widgets\n")
        (clone / "src").mkdir()
        (clone / "src/main.py").write_text("print(1)\n")

    scene.publish(begin)
    return scene
