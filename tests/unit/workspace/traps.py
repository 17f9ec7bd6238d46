"""What an agent may set up so that git, in its workspace, runs a program of the agent's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from claude_flow.ports import Workspace
from tests.unit.workspace.conftest import git

Trap = Callable[[Workspace, str], None]


def fsmonitor(workspace: Workspace, command: str) -> None:
    git("config", "core.fsmonitor", command, cwd=workspace.path)


def hooks(workspace: Workspace, command: str) -> None:
    hooks = common(workspace) / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in (
        "pre-commit",
        "post-commit",
        "commit-msg",
        "prepare-commit-msg",
        "post-checkout",
        "post-index-change",
        "reference-transaction",
        "pre-push",
        "pre-auto-gc",
    ):
        hook = hooks / name
        hook.write_text(f"#!/bin/sh\n{command}\n")
        hook.chmod(0o755)


def hooks_path(workspace: Workspace, command: str) -> None:
    hook = workspace.path / "reference-transaction"
    hook.write_text(f"#!/bin/sh\n{command}\n")
    hook.chmod(0o755)
    git("config", "core.hooksPath", str(workspace.path), cwd=workspace.path)


def content_filter(workspace: Workspace, command: str) -> None:
    (workspace.path / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    for key in ("clean", "smudge", "process"):
        git("config", f"filter.evil.{key}", command, cwd=workspace.path)
    git("config", "diff.evil.textconv", command, cwd=workspace.path)
    git("config", "diff.evil.command", command, cwd=workspace.path)
    git("config", "diff.external", command, cwd=workspace.path)
    git("config", "merge.evil.driver", command, cwd=workspace.path)


def pack_objects_hook(workspace: Workspace, command: str) -> None:
    git("config", "uploadpack.packObjectsHook", command, cwd=workspace.path)


def include(workspace: Workspace, command: str) -> None:
    (workspace.path / "config").write_text(f"[core]\n\tfsmonitor = {command}\n")
    git("config", "include.path", str(workspace.path / "config"), cwd=workspace.path)


def worktree_config(workspace: Workspace, command: str) -> None:
    git("config", "extensions.worktreeConfig", "true", cwd=workspace.path)
    git("config", "--worktree", "core.fsmonitor", command, cwd=workspace.path)


def other_remote(workspace: Workspace, command: str) -> None:
    git("config", "url.ext::sh.insteadOf", "file:", cwd=workspace.path)
    git("config", "core.sshCommand", command, cwd=workspace.path)
    git("config", "core.alternateRefsCommand", command, cwd=workspace.path)
    git("config", "credential.helper", f"!{command}", cwd=workspace.path)
    git("config", "gpg.program", command, cwd=workspace.path)


def promisor(workspace: Workspace, command: str) -> None:
    git("config", "remote.origin.promisor", "true", cwd=workspace.path)
    git("config", "remote.origin.uploadpack", command, cwd=workspace.path)
    git("config", "extensions.partialClone", "origin", cwd=workspace.path)


def nested_repository(workspace: Workspace, command: str) -> None:
    nested = workspace.path / "vendored"
    git("init", "-q", str(nested), cwd=workspace.path)
    (nested / "file.txt").write_text("nested")
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    git("add", "file.txt", cwd=nested)
    git(*identity, "commit", "-q", "-m", "nested", cwd=nested)
    git("config", "core.fsmonitor", command, cwd=nested)
    (nested / "file.txt").write_text("changed")


def replaced_repository(workspace: Workspace, command: str) -> None:
    (workspace.path / ".git").unlink()
    git("init", "-q", str(workspace.path), cwd=workspace.path)
    fsmonitor(workspace, command)
    (workspace.path / ".git/info").mkdir(exist_ok=True)
    (workspace.path / ".git/info/attributes").write_text("* filter=evil\n")
    git("config", "filter.evil.clean", command, cwd=workspace.path)


def redirected_objects(workspace: Workspace, command: str) -> None:
    # A "git directory" of the agent's own making behind the pointer file.
    elsewhere = workspace.path / "elsewhere"
    git("init", "-q", "--bare", str(elsewhere), cwd=workspace.path)
    git("config", "core.fsmonitor", command, cwd=elsewhere)
    (workspace.path / ".git").write_text(f"gitdir: {elsewhere}\n")


def info_attributes(workspace: Workspace, command: str) -> None:
    info = common(workspace) / "info"
    (info / "attributes").write_text("* filter=evil diff=evil\n")
    for key in ("filter.evil.clean", "filter.evil.process", "diff.evil.textconv"):
        git("config", key, command, cwd=workspace.path)
    git("config", "core.attributesFile", str(info / "attributes"), cwd=workspace.path)


def core_worktree(workspace: Workspace, command: str) -> None:
    elsewhere = workspace.path.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".gitattributes").write_text("* filter=evil\n")
    git("config", "filter.evil.clean", command, cwd=workspace.path)
    git("config", "core.worktree", str(elsewhere), cwd=workspace.path)


def submodule_commands(workspace: Workspace, command: str) -> None:
    (workspace.path / ".gitmodules").write_text(
        f'[submodule "evil"]\n\tpath = evil\n\turl = ext::{command}\n\tupdate = !{command}\n'
    )
    git("config", "submodule.evil.url", f"ext::{command}", cwd=workspace.path)
    git("config", "submodule.evil.update", f"!{command}", cwd=workspace.path)
    git("config", "submodule.evil.active", "true", cwd=workspace.path)
    git("config", "submodule.recurse", "true", cwd=workspace.path)
    git("config", "fetch.recurseSubmodules", "true", cwd=workspace.path)
    git("config", "protocol.ext.allow", "always", cwd=workspace.path)
    git("add", ".gitmodules", cwd=workspace.path)
    link = f"160000,{workspace.base},evil"
    git("update-index", "--add", "--cacheinfo", link, cwd=workspace.path)
    git("commit", "-q", "-m", "A submodule", cwd=workspace.path)


def lfs_configuration(workspace: Workspace, command: str) -> None:
    (workspace.path / ".gitattributes").write_text("* filter=lfs diff=lfs merge=lfs -text\n")
    (workspace.path / ".lfsconfig").write_text(
        "[lfs]\n\turl = http://127.0.0.1:9/evil\n\tstandalonetransferagent = evil\n"
        f'[lfs "customtransfer.evil"]\n\tpath = {command}\n'
    )
    for key in (
        "filter.lfs.clean",
        "filter.lfs.smudge",
        "filter.lfs.process",
        "lfs.customtransfer.evil.path",
        "lfs.extension.evil.clean",
        "lfs.extension.evil.smudge",
    ):
        git("config", key, command, cwd=workspace.path)
    git("config", "lfs.extension.evil.priority", "0", cwd=workspace.path)
    git("config", "lfs.standalonetransferagent", "evil", cwd=workspace.path)


def linked_repository(workspace: Workspace, command: str) -> None:
    """Every part of the repository that could be one is a link to a repository elsewhere."""
    elsewhere = workspace.path.parent / "elsewhere.git"
    git("init", "-q", "--bare", str(elsewhere), cwd=workspace.path.parent)
    git("config", "core.fsmonitor", command, cwd=elsewhere)
    git("config", "uploadpack.packObjectsHook", command, cwd=elsewhere)
    repository = common(workspace)
    for name in ("config", "hooks", "info", "packed-refs", "logs", "objects/pack"):
        part = repository / name
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
        part.symlink_to(elsewhere / name)


def linked_pointer(workspace: Workspace, command: str) -> None:
    """The pointer file is a link, and so are the worktree's own pointers."""
    elsewhere = workspace.path.parent / "elsewhere.git"
    git("init", "-q", "--bare", str(elsewhere), cwd=workspace.path.parent)
    git("config", "core.fsmonitor", command, cwd=elsewhere)
    git("config", "uploadpack.packObjectsHook", command, cwd=elsewhere)
    own = common(workspace) / "worktrees" / workspace.path.name
    (own / "commondir").write_text(f"{elsewhere}\n")
    (own / "gitdir").unlink()
    (own / "gitdir").symlink_to(elsewhere / "config")
    (workspace.path / ".git").unlink()
    (workspace.path / ".git").symlink_to(elsewhere)


def everything_that_names_a_program(workspace: Workspace, command: str) -> None:
    for key in (
        "core.askPass",
        "core.editor",
        "core.gitProxy",
        "core.pager",
        "core.sshCommand",
        "gpg.ssh.program",
        "remote.origin.proxy",
        "remote.origin.receivepack",
        "remote.origin.vcs",
        "sequence.editor",
        "trailer.sign.command",
        "uploadpack.packObjectsHook",
    ):
        git("config", key, command, cwd=workspace.path)
    git("config", f"url.ext::{command} .pushInsteadOf", "file:", cwd=workspace.path)
    git("config", "credential.useHttpPath", "true", cwd=workspace.path)
    git("config", "credential.file:.helper", f"!{command}", cwd=workspace.path)


def common(workspace: Workspace) -> Path:
    return Path(git("rev-parse", "--git-common-dir", cwd=workspace.path))


TRAPS: tuple[Trap, ...] = (
    fsmonitor,
    hooks,
    hooks_path,
    content_filter,
    pack_objects_hook,
    include,
    worktree_config,
    other_remote,
    promisor,
    nested_repository,
    replaced_repository,
    redirected_objects,
    info_attributes,
    core_worktree,
    submodule_commands,
    lfs_configuration,
    linked_repository,
    linked_pointer,
    everything_that_names_a_program,
)
