"""A run's own repository: the agent may do in it whatever it likes.

It borrows the mirror's objects and holds no credential. What the agent configures there is
wiped before the daemon reads from it, and even then only ``git upload-pack`` does, git's
program for reading repositories of others.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from claude_flow.workspace.git import Git, Place
from claude_flow.workspace.large_files import AGENTS_CONFIG
from claude_flow.workspace.mirror import Snapshot
from claude_flow.workspace.places import RunDirectory


@dataclass(frozen=True, slots=True)
class Identity:
    """What an agent's repository says of its origin and of who commits."""

    url: str
    name: str
    email: str


async def create(
    git: Git,
    where: RunDirectory,
    mirror: Snapshot,
    identity: Identity,
    *,
    ignored: Iterable[str],
    with_lfs: bool,
) -> None:
    """Make the repository, with the mirror's branches as ``origin/…`` and its tags."""
    where.path.mkdir(parents=True, exist_ok=True)
    await git.text(Place(where.path), "init", "-q", "--bare", "--template=", str(where.agent))
    _write_config(where.agent, identity, AGENTS_CONFIG if with_lfs else "")
    borrow(where.agent, mirror.path)
    exclude(where.agent, ignored)
    (where.agent / "packed-refs").write_text(_packed(mirror.refs), errors="surrogateescape")


async def check_out(
    git: Git,
    where: RunDirectory,
    *,
    branch: str,
    commit: str,
    head: str,
    agents_git: Git,
    filters: Iterable[tuple[str, str]],
) -> None:
    """Make the worktree with the files of ``commit``, on a new branch at ``head``.

    Where they differ, what the files have more is staged. ``agents_git`` makes the files;
    ``filters`` is the configuration of those that they go through.
    """
    where.workspace.mkdir(parents=True, exist_ok=True)
    await agents_git.text(
        Place(where.agent),
        "worktree", "add", "--quiet", "--no-track", "-B", branch, str(where.workspace), commit,
        # Its paths are shortened by what they share: there are two of it for each run.
        config=(("index.version", "4"), *filters),
    )  # fmt: skip
    if head != commit:
        await git.text(Place(where.agent), "update-ref", f"refs/heads/{branch}", head)
    # With its times: git tells by them which files cannot have changed since.
    shutil.copy2(where.agent_worktree / "index", where.index)


def make_readable(where: RunDirectory, mirror: Path, identity: Identity) -> bool:
    """Wipe what an agent could have set up against a reader; False if it is not a repository.

    Links and special files go as well: they could lead out of the repository or hang whoever
    opens them.
    """
    for directory in (where.agent, where.agent / "objects", where.agent_worktree):
        if directory.is_symlink() or not directory.is_dir():
            return False
    _plain_files_only(where.agent)
    for name in ("hooks", "config.worktree", "shallow", "info/grafts", "objects/info"):
        _drop(where.agent / name)
    _drop(where.agent_worktree / "config.worktree")
    _drop(where.agent / "config")
    _write_config(where.agent, identity)
    borrow(where.agent, mirror)
    _drop(where.agent_worktree / "commondir")
    (where.agent_worktree / "commondir").write_text("../..\n")
    return True


def borrow(repository: Path, mirror: Path) -> None:
    """Let the repository use the mirror's objects."""
    info = repository / "objects" / "info"
    info.mkdir(exist_ok=True)
    (info / "alternates").write_text(f"{mirror / 'objects'}\n")


def exclude(repository: Path, ignored: Iterable[str]) -> None:
    """Make git overlook the paths below the top, unless it tracks them."""
    info = repository / "info"
    info.mkdir(exist_ok=True)
    (info / "exclude").write_text("".join(f"/{path.lstrip('/')}\n" for path in ignored))


def _write_config(repository: Path, identity: Identity, more: str = "") -> None:
    (repository / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
        "\tlogallrefupdates = true\n"
        "[gc]\n\tauto = 0\n"
        f"[user]\n\tname = {_quoted(identity.name)}\n\temail = {_quoted(identity.email)}\n"
        f'[remote "origin"]\n\turl = {_quoted(identity.url)}\n'
        "\tfetch = +refs/heads/*:refs/remotes/origin/*\n" + more
    )


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _packed(refs: Mapping[str, str]) -> str:
    renamed = {
        ref.replace("refs/heads/", "refs/remotes/origin/", 1): commit
        for ref, commit in refs.items()
    }
    return "".join(f"{commit} {ref}\n" for ref, commit in sorted(renamed.items()))


def _plain_files_only(top: Path) -> None:
    for directory, subdirectories, files in os.walk(top):
        for name in (*subdirectories, *files):
            path = Path(directory, name)
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                path.unlink()


def _drop(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
