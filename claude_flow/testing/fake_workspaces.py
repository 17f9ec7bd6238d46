"""Workspaces without git: real directories, a server in memory, the same behaviour.

``seed`` puts files on the pretended server, ``files`` reads them back. ``fail_next`` makes the
next call of one method raise.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import SequenceMatcher
from pathlib import Path

from claude_flow.errors import (
    CommittedFileError,
    PushRejectedError,
    WorkspaceError,
    WorkspaceGoneError,
)
from claude_flow.model.issue import Repository
from claude_flow.ports import Changes, Workspace

_Files = Mapping[str, bytes]


@dataclass
class FakeGitServer:
    """Branches of repositories, and every commit that was ever made."""

    branches: dict[Repository, dict[str, str]] = field(default_factory=dict)
    commits: dict[str, _Files] = field(default_factory=dict)
    protected: set[tuple[Repository, str]] = field(default_factory=set)

    def seed(self, repository: Repository, files: Mapping[str, str], branch: str = "main") -> str:
        """Add ``files`` to the branch, making it and the repository if new; the commit."""
        branches = self.branches.setdefault(repository, {})
        if not files:
            return ""
        before = self.commits.get(branches.get(branch, ""), {})
        content = {**before, **{name: text.encode() for name, text in files.items()}}
        branches[branch] = self.store(content, branches.get(branch, ""))
        return branches[branch]

    def files(self, repository: Repository, branch: str) -> dict[str, str]:
        """The text files of a branch."""
        commit = self.commits[self.branches[repository][branch]]
        return {name: content.decode() for name, content in commit.items()}

    def store(self, files: _Files, *parts: str) -> str:
        """Keep a commit of the files; its id depends on them and on ``parts`` only."""
        digest = hashlib.sha1(repr((sorted(files.items()), parts)).encode(), usedforsecurity=False)
        self.commits[digest.hexdigest()] = dict(files)
        return digest.hexdigest()


class FakeWorkspaces:
    """Implements ``ports.Workspaces`` below ``root``."""

    def __init__(self, root: Path, server: FakeGitServer | None = None) -> None:
        self.server = server or FakeGitServer()
        self._root = root
        self._bases: dict[str, str] = {}
        self._prepared: dict[str, Workspace] = {}
        self._failures: dict[str, list[Exception]] = defaultdict(list)

    def fail_next(self, method: str, error: Exception) -> None:
        """Let the next call of the method raise it."""
        self._failures[method].append(error)

    async def prepare(
        self,
        run_id: str,
        repository: Repository,
        *,
        branch: str,
        start_from: str,
        carry_on: bool = False,
    ) -> Workspace:
        """See ``ports.Workspaces``."""
        self._maybe_fail("prepare")
        branches = self.server.branches.get(repository)
        if branches is None:
            raise WorkspaceError(f"there is no repository {repository}")
        if not branches:
            raise WorkspaceError(f"the repository {repository} is empty")
        if start_from not in branches:
            raise WorkspaceError(f"the repository {repository} has no branch {start_from!r}")
        path, base = self._root / run_id, branches[start_from]
        begun = self._bases.get(run_id, "")
        carries_on = carry_on and path.is_dir() and _content(path) != self.server.commits.get(begun)
        if not carries_on:
            begun = self._bases[run_id] = base
            _delete(path)
            _fill(path, self.server.commits[base])
        workspace = Workspace(run_id, path, begun, branches.get(branch), carries_on=carries_on)
        self._prepared[run_id] = workspace
        return workspace

    async def find(self, run_id: str) -> Workspace | None:
        """See ``ports.Workspaces``."""
        workspace = self._prepared.get(run_id)
        return workspace if workspace is not None and workspace.path.is_dir() else None

    async def committed_file(
        self, repository: Repository, branch: str, path: str, *, max_bytes: int
    ) -> bytes | None:
        """See ``ports.Workspaces``."""
        self._maybe_fail("committed_file")
        files = self.server.commits[self.server.branches[repository][branch]]
        if any(name.startswith(f"{path}/") for name in files):
            raise CommittedFileError(f"{path} is a directory, not a file")
        content = files.get(path)
        if content is not None and len(content) > max_bytes:
            raise CommittedFileError(f"{path} has {len(content)} bytes")
        return content

    async def collect(
        self, workspace: Workspace, repository: Repository, *, message: str, at: datetime
    ) -> Changes | None:
        """See ``ports.Workspaces``."""
        self._maybe_fail("collect")
        if not workspace.path.is_dir():
            raise WorkspaceGoneError(f"the workspace {workspace.path} is gone")
        before = self.server.commits[workspace.base]
        after = _content(workspace.path)
        changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        if not changed:
            return None
        commit = self.server.store(
            after, workspace.base, str(repository), message, str(int(at.timestamp()))
        )
        lines = sum(_changed_lines(before.get(name, b""), after.get(name, b"")) for name in changed)
        return Changes(commit, tuple(sorted(changed)), lines)

    async def push(
        self, workspace: Workspace, repository: Repository, *, commit: str, branch: str
    ) -> None:
        """See ``ports.Workspaces``."""
        self._maybe_fail("push")
        branches = self.server.branches[repository]
        if branches.get(branch) == commit:
            return
        if (repository, branch) in self.server.protected:
            raise PushRejectedError(f"the branch {branch} of {repository} is protected")
        if branches.get(branch) != workspace.published:
            raise PushRejectedError(f"somebody else moved the branch {branch} of {repository}")
        branches[branch] = commit

    async def remove(self, run_id: str) -> None:
        """See ``ports.Workspaces``."""
        self._maybe_fail("remove")
        _delete(self._root / run_id)
        self._prepared.pop(run_id, None)

    def _maybe_fail(self, method: str) -> None:
        if self._failures[method]:
            raise self._failures[method].pop(0)


def _delete(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


def _fill(path: Path, files: _Files) -> None:
    path.mkdir(parents=True)
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _changed_lines(before: bytes, after: bytes) -> int:
    if b"\0" in before + after:
        return 0
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    same = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return len(old) + len(new) - 2 * sum(block.size for block in same)


def _content(path: Path) -> dict[str, bytes]:
    if not path.is_dir():
        raise WorkspaceError(f"the workspace {path} is gone")
    found = (file for file in path.rglob("*") if file.is_file() and not file.is_symlink())
    return {str(file.relative_to(path)): file.read_bytes() for file in found}
