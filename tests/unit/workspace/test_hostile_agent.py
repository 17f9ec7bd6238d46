"""Whatever an agent sets up in its workspace, the daemon's git does not run it."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from claude_flow.errors import WorkspaceError
from claude_flow.ports import Workspace
from claude_flow.workspace.large_files import object_in
from tests.unit.workspace.conftest import Scene, git

Trap = Callable[[Workspace, str], None]


def _fsmonitor(workspace: Workspace, command: str) -> None:
    git("config", "core.fsmonitor", command, cwd=workspace.path)


def _hooks(workspace: Workspace, command: str) -> None:
    hooks = _common(workspace) / "hooks"
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


def _hooks_path(workspace: Workspace, command: str) -> None:
    hook = workspace.path / "reference-transaction"
    hook.write_text(f"#!/bin/sh\n{command}\n")
    hook.chmod(0o755)
    git("config", "core.hooksPath", str(workspace.path), cwd=workspace.path)


def _filter(workspace: Workspace, command: str) -> None:
    (workspace.path / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    for key in ("clean", "smudge", "process"):
        git("config", f"filter.evil.{key}", command, cwd=workspace.path)
    git("config", "diff.evil.textconv", command, cwd=workspace.path)
    git("config", "diff.evil.command", command, cwd=workspace.path)
    git("config", "diff.external", command, cwd=workspace.path)
    git("config", "merge.evil.driver", command, cwd=workspace.path)


def _pack_objects_hook(workspace: Workspace, command: str) -> None:
    git("config", "uploadpack.packObjectsHook", command, cwd=workspace.path)


def _include(workspace: Workspace, command: str) -> None:
    (workspace.path / "config").write_text(f"[core]\n\tfsmonitor = {command}\n")
    git("config", "include.path", str(workspace.path / "config"), cwd=workspace.path)


def _worktree_config(workspace: Workspace, command: str) -> None:
    git("config", "extensions.worktreeConfig", "true", cwd=workspace.path)
    git("config", "--worktree", "core.fsmonitor", command, cwd=workspace.path)


def _other_remote(workspace: Workspace, command: str) -> None:
    git("config", "url.ext::sh.insteadOf", "file:", cwd=workspace.path)
    git("config", "core.sshCommand", command, cwd=workspace.path)
    git("config", "core.alternateRefsCommand", command, cwd=workspace.path)
    git("config", "credential.helper", f"!{command}", cwd=workspace.path)
    git("config", "gpg.program", command, cwd=workspace.path)


def _promisor(workspace: Workspace, command: str) -> None:
    git("config", "remote.origin.promisor", "true", cwd=workspace.path)
    git("config", "remote.origin.uploadpack", command, cwd=workspace.path)
    git("config", "extensions.partialClone", "origin", cwd=workspace.path)


def _nested_repository(workspace: Workspace, command: str) -> None:
    nested = workspace.path / "vendored"
    git("init", "-q", str(nested), cwd=workspace.path)
    (nested / "file.txt").write_text("nested")
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    git("add", "file.txt", cwd=nested)
    git(*identity, "commit", "-q", "-m", "nested", cwd=nested)
    git("config", "core.fsmonitor", command, cwd=nested)
    (nested / "file.txt").write_text("changed")


def _replaced_repository(workspace: Workspace, command: str) -> None:
    (workspace.path / ".git").unlink()
    git("init", "-q", str(workspace.path), cwd=workspace.path)
    _fsmonitor(workspace, command)
    (workspace.path / ".git/info").mkdir(exist_ok=True)
    (workspace.path / ".git/info/attributes").write_text("* filter=evil\n")
    git("config", "filter.evil.clean", command, cwd=workspace.path)


def _redirected_objects(workspace: Workspace, command: str) -> None:
    # A "git directory" of the agent's own making behind the pointer file.
    elsewhere = workspace.path / "elsewhere"
    git("init", "-q", "--bare", str(elsewhere), cwd=workspace.path)
    git("config", "core.fsmonitor", command, cwd=elsewhere)
    (workspace.path / ".git").write_text(f"gitdir: {elsewhere}\n")


def _info_attributes(workspace: Workspace, command: str) -> None:
    info = _common(workspace) / "info"
    (info / "attributes").write_text("* filter=evil diff=evil\n")
    for key in ("filter.evil.clean", "filter.evil.process", "diff.evil.textconv"):
        git("config", key, command, cwd=workspace.path)
    git("config", "core.attributesFile", str(info / "attributes"), cwd=workspace.path)


def _core_worktree(workspace: Workspace, command: str) -> None:
    elsewhere = workspace.path.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".gitattributes").write_text("* filter=evil\n")
    git("config", "filter.evil.clean", command, cwd=workspace.path)
    git("config", "core.worktree", str(elsewhere), cwd=workspace.path)


def _submodule_commands(workspace: Workspace, command: str) -> None:
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


def _lfs_configuration(workspace: Workspace, command: str) -> None:
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


def _linked_repository(workspace: Workspace, command: str) -> None:
    """Every part of the repository that could be one is a link to a repository elsewhere."""
    elsewhere = workspace.path.parent / "elsewhere.git"
    git("init", "-q", "--bare", str(elsewhere), cwd=workspace.path.parent)
    git("config", "core.fsmonitor", command, cwd=elsewhere)
    git("config", "uploadpack.packObjectsHook", command, cwd=elsewhere)
    repository = _common(workspace)
    for name in ("config", "hooks", "info", "packed-refs", "logs", "objects/pack"):
        part = repository / name
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
        part.symlink_to(elsewhere / name)


def _linked_pointer(workspace: Workspace, command: str) -> None:
    """The pointer file is a link, and so are the worktree's own pointers."""
    elsewhere = workspace.path.parent / "elsewhere.git"
    git("init", "-q", "--bare", str(elsewhere), cwd=workspace.path.parent)
    git("config", "core.fsmonitor", command, cwd=elsewhere)
    git("config", "uploadpack.packObjectsHook", command, cwd=elsewhere)
    own = _common(workspace) / "worktrees" / workspace.path.name
    (own / "commondir").write_text(f"{elsewhere}\n")
    (own / "gitdir").unlink()
    (own / "gitdir").symlink_to(elsewhere / "config")
    (workspace.path / ".git").unlink()
    (workspace.path / ".git").symlink_to(elsewhere)


def _everything_that_names_a_program(workspace: Workspace, command: str) -> None:
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


def _common(workspace: Workspace) -> Path:
    return Path(git("rev-parse", "--git-common-dir", cwd=workspace.path))


@pytest.mark.parametrize(
    "trap",
    [
        _fsmonitor,
        _hooks,
        _hooks_path,
        _filter,
        _pack_objects_hook,
        _include,
        _worktree_config,
        _other_remote,
        _promisor,
        _nested_repository,
        _replaced_repository,
        _redirected_objects,
        _info_attributes,
        _core_worktree,
        _submodule_commands,
        _lfs_configuration,
        _linked_repository,
        _linked_pointer,
        _everything_that_names_a_program,
    ],
)
@pytest.mark.parametrize("with_lfs", [False, True], ids=["plain", "lfs"])
async def test_nothing_that_an_agent_configures_runs(
    scene: Scene, trap: Trap, *, with_lfs: bool
) -> None:
    scene.change(lfs=lambda: with_lfs)
    workspace = await scene.prepare()
    (workspace.path / "src/main.py").write_text("print(2)\n")
    sprung = scene.directory / "sprung"
    command = scene.directory / "trap.sh"
    command.write_text(f"#!/bin/sh\necho sprung >> {sprung}\ncat\n")
    command.chmod(0o755)

    trap(workspace, str(command))
    sprung.unlink(missing_ok=True)  # git in the agent's hands may well have run it
    changes = await scene.collect(workspace)
    assert changes is not None
    await scene.push(workspace, changes)
    second = await scene.prepare(carry_on=True)  # the next attempt
    await scene.workspaces.remove("r-1")

    assert not sprung.exists()
    assert second.base == workspace.base
    if with_lfs and trap is _lfs_configuration:
        content = object_in(scene.server, sha256(b"print(2)\n").hexdigest())
    else:
        content = scene.directory / "content"
        content.write_text(git("show", f"{changes.commit}:src/main.py", cwd=scene.server) + "\n")
    assert content.read_text() == "print(2)\n"


async def test_the_traps_of_this_test_do_spring(scene: Scene) -> None:
    workspace = await scene.prepare()
    sprung = scene.directory / "sprung"
    command = scene.directory / "trap.sh"
    command.write_text(f"#!/bin/sh\necho sprung >> {sprung}\ncat\n")
    command.chmod(0o755)

    _nested_repository(workspace, str(command))
    sprung.unlink(missing_ok=True)
    git("status", cwd=workspace.path / "vendored")

    assert sprung.exists()


async def test_a_submodules_configuration_does_not_run(scene: Scene) -> None:
    submodule = scene.directory / "submodule.git"
    git("clone", "-q", "--bare", str(scene.server), str(submodule), cwd=scene.directory)

    def add_submodule(clone: Path) -> None:
        git("submodule", "--quiet", "add", str(submodule), "lib", cwd=clone)

    scene.publish(add_submodule)
    workspace = await scene.prepare()
    sprung = scene.directory / "sprung"
    git("clone", "-q", str(submodule), str(workspace.path / "lib"), cwd=workspace.path)
    (workspace.path / "lib/README.md").write_text("# WIDGETS\n")
    git("config", "core.fsmonitor", f"touch {sprung}; false", cwd=workspace.path / "lib")
    git("config", "filter.evil.clean", f"touch {sprung}; cat", cwd=workspace.path / "lib")
    (workspace.path / "lib/.gitattributes").write_text("* filter=evil\n")

    changes = await scene.collect(workspace)

    assert changes is None
    assert not sprung.exists()


async def test_no_attribute_hides_lines_from_the_count(scene: Scene) -> None:
    workspace = await scene.prepare()
    (workspace.path / ".gitattributes").write_text("* -diff\n")
    (workspace.path / "src/main.py").write_text("print(2)\n" * 100)

    changes = await scene.collect(workspace)

    assert changes is not None
    assert changes.lines == 102


async def test_a_nested_repository_becomes_its_files(scene: Scene) -> None:
    workspace = await scene.prepare()
    _nested_repository(workspace, "false")

    changes = await scene.collect(workspace)

    assert changes is not None
    assert scene.tree(changes)["vendored/file.txt"] == "100644 blob"


async def test_links_are_kept_as_links_and_never_followed(scene: Scene) -> None:
    secret = scene.directory / "secret"
    secret.mkdir()
    (secret / "key").write_text("do not read")
    workspace = await scene.prepare()
    (workspace.path / "file-link").symlink_to(secret / "key")
    (workspace.path / "directory-link").symlink_to(secret)
    shutil.rmtree(workspace.path / "src")
    (workspace.path / "src").symlink_to(secret)

    changes = await scene.collect(workspace)
    await scene.workspaces.remove("r-1")

    assert changes is not None
    assert (secret / "key").read_text() == "do not read"


async def test_a_link_in_the_tree_is_a_link(scene: Scene) -> None:
    workspace = await scene.prepare()
    (workspace.path / "link").symlink_to("/etc/passwd")

    changes = await scene.collect(workspace)

    assert changes is not None
    assert scene.tree(changes)["link"] == "120000 blob"


async def test_a_workspace_replaced_by_a_link_is_refused(scene: Scene) -> None:
    workspace = await scene.prepare()
    other = scene.directory / "other"
    workspace.path.rename(other)
    workspace.path.symlink_to(other)

    with pytest.raises(WorkspaceError, match="no directory any more"):
        await scene.collect(workspace)

    await scene.workspaces.remove("r-1")
    assert (other / "README.md").exists()
    assert not workspace.path.is_symlink()


async def test_a_worktree_that_is_said_to_be_elsewhere_is_not_read(scene: Scene) -> None:
    workspace = await scene.prepare()
    private = scene.directory / "private"
    private.mkdir()
    (private / "key").write_text("do not read")
    git("config", "core.worktree", str(private), cwd=workspace.path)
    (workspace.path / "new.txt").write_text("new")

    changes = await scene.collect(workspace)

    assert changes is not None
    assert changes.paths == ("new.txt",)


async def test_a_replaced_or_grafted_history_is_not_believed(scene: Scene) -> None:
    """They would hide what is changed from whoever compares with the base."""
    workspace = await scene.prepare()
    (workspace.path / "src/main.py").write_text("print(2)\n")
    git("commit", "-q", "-a", "-m", "By the agent", cwd=workspace.path)
    mine = git("rev-parse", "HEAD", cwd=workspace.path)
    git("replace", workspace.base, mine, "-f", cwd=workspace.path)
    (_common(workspace) / "info/grafts").write_text(f"{mine}\n")
    (_common(workspace) / "shallow").write_text(f"{mine}\n")

    changes = await scene.collect(workspace)

    assert changes is not None
    assert (changes.commit, changes.paths) == (mine, ("src/main.py",))
    log = git("rev-list", changes.commit, cwd=scene.run() / "result.git").split()
    assert log == [mine, workspace.base]


async def test_objects_of_another_repository_cannot_be_borrowed(scene: Scene) -> None:
    private = scene.directory / "private.git"
    git("clone", "-q", "--bare", str(scene.server), str(private), cwd=scene.directory)
    base = git("rev-parse", "main", cwd=private)
    identity = {
        f"GIT_{who}_{what}": "x@example.com"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    hidden = git(
        "commit-tree", "-p", base, "-m", "hidden", f"{base}^{{tree}}", cwd=private, env=identity
    )
    workspace = await scene.prepare()
    repository = scene.run() / "repo.git"
    (repository / "objects/info/alternates").write_text(
        f"{scene.mirror}/objects\n{private}/objects\n"
    )
    git("reset", "-q", "--hard", hidden, cwd=workspace.path)
    (workspace.path / "new.txt").write_text("new")

    changes = await scene.collect(workspace)

    assert changes is not None
    log = git("rev-list", changes.commit, cwd=scene.run() / "result.git").split()
    assert hidden not in log
    assert log == [changes.commit, workspace.base]


@pytest.mark.parametrize("what", ["HEAD", "refs/heads/trap", "packed-refs", "config", "objects/x"])
async def test_special_files_in_the_agents_repository_do_not_hang(scene: Scene, what: str) -> None:
    workspace = await scene.prepare()
    (workspace.path / "new.txt").write_text("new")
    target = scene.run() / "repo.git" / what
    target.unlink(missing_ok=True)
    os.mkfifo(target)

    changes = await scene.collect(workspace)

    assert changes is not None
    assert changes.files == 1


async def test_special_files_in_the_workspace_are_left_out(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = await scene.prepare()
    os.mkfifo(workspace.path / "pipe")
    (workspace.path / "README.md").unlink()
    os.mkfifo(workspace.path / "README.md")
    monkeypatch.chdir(workspace.path)  # a socket's address must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")

        changes = await scene.collect(workspace)

    assert changes is not None
    assert list(scene.tree(changes)) == ["src/main.py"]
