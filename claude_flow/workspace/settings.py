"""What the workspaces are told: where things lie, which server, who commits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from claude_flow.model.issue import Repository

_HALF_AN_HOUR = 1800.0
_TEN_MINUTES = 600.0


@dataclass(frozen=True, slots=True)
class Credential:
    """A login at the git server; GitHub takes any token as ``x-access-token``'s password."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSettings:
    """Where workspaces live and whose they are.

    ``credential`` gives the login of the moment, None for none; it is asked before each talk
    with the server, from a thread, and its answer is not kept. ``host_environment`` is the
    daemon's own; only PATH, proxies and certificate bundles are taken from it. ``ignored`` gives
    paths below a workspace's top that agents' tools leave behind and that are never committed
    unless the repository tracks them. ``partial_clone`` says whether mirrors leave the content of
    files at the server until a run checks it out, ``lfs`` whether Git LFS's large files are fetched
    and pushed; they are asked each time. The time-outs are seconds for one git command.
    """

    repos_directory: Path
    runs_directory: Path
    workspace_root: Path
    git_base_url: str
    credential: Callable[[], Credential | None]
    host_environment: Mapping[str, str]
    author_name: str
    author_email: str
    ignored: Callable[[], tuple[str, ...]] = tuple
    partial_clone: Callable[[], bool] = bool
    lfs: Callable[[], bool] = bool
    transfer_timeout_seconds: float = _HALF_AN_HOUR
    local_timeout_seconds: float = _TEN_MINUTES

    def url(self, repository: Repository) -> str:
        """Where the repository is cloned from and pushed to."""
        return f"{self.git_base_url.rstrip('/')}/{repository}.git"
