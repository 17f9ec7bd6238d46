"""Whatever an agent leaves in its workspace and history comes out right, or as a clear error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from claude_flow.errors import WorkspaceError
from claude_flow.ports import Workspace
from tests.unit.workspace.conftest import BRANCH, Scene, git

_DEEP = 1500


def _commit(workspace: Workspace, message: str = "By the agent", *arguments: str) -> str:
    git("add", "-A", cwd=workspace.path)
    git("commit", "-q", "-m", message, *arguments, cwd=workspace.path)
    return git("rev-parse", "HEAD", cwd=workspace.path)


def _write(directory: Path, name: str, text: str = "x") -> None:
    (directory / name).write_text(text)


async def test_an_agent_finds_a_usual_worktree(scene: Scene) -> None:
    git("tag", "v1", "main", cwd=scene.server)

    workspace = await scene.prepare()

    def ask(*arguments: str) -> str:
        return git(*arguments, cwd=workspace.path)

    assert ask("branch", "--show-current") == BRANCH
    assert ask("status", "--porcelain") == ""
    assert ask("rev-parse", "origin/main") == workspace.base
    assert ask("describe", "--tags") == "v1"
    assert ask("config", "user.email") == "claude-flow@example.com"
    assert ask("remote", "get-url", "origin") == f"{scene.settings.git_base_url}/octo/widgets.git"
    assert ask("fsck", "--no-dangling") == ""


async def test_an_agents_commits_are_kept(scene: Scene) -> None:
    workspace = await scene.prepare()
    (workspace.path / "a.txt").write_text("a")
    first = _commit(workspace, "One")
    (workspace.path / "b.txt").write_text("b")
    second = _commit(workspace, "Two")

    changes = await scene.collect(workspace)

    assert changes is not None
    assert (changes.commit, changes.files) == (second, 2)
    await scene.push(workspace, changes)
    log = git("rev-list", f"main..{BRANCH}", cwd=scene.server).split()
    assert log == [second, first]


@pytest.mark.parametrize("how", ["edited", "deleted", "moved", "edited again"])
async def test_a_commit_that_changes_what_was_there_is_kept(scene: Scene, how: str) -> None:
    workspace = await scene.prepare()
    file = workspace.path / "src/main.py"
    match how:
        case "deleted":
            file.unlink()
        case "moved":
            file.rename(workspace.path / "main.py")
        case _:
            file.write_text("print(2)\n")
    commit = _commit(workspace)
    if how == "edited again":
        file.write_text("print(3)\n")

    changes = await scene.collect(workspace)

    assert changes is not None
    paths = {"src/main.py", "main.py"} if how == "moved" else {"src/main.py"}
    assert set(changes.paths) == paths
    assert (changes.commit == commit) is (how != "edited again")


async def test_what_an_agent_left_uncommitted_goes_on_top_of_its_commits(scene: Scene) -> None:
    workspace = await scene.prepare()
    (workspace.path / "a.txt").write_text("a")
    first = _commit(workspace, "One")
    (workspace.path / "b.txt").write_text("b")

    changes = await scene.collect(workspace)

    assert changes is not None
    result = scene.run() / "result.git"
    assert git("rev-parse", f"{changes.commit}^", cwd=result) == first
    assert git("log", "-1", "--format=%an <%ae> %at %s", changes.commit, cwd=result) == (
        "claude-flow <claude-flow@example.com> 1769860800 Done"
    )


async def test_commits_that_cancel_each_other_are_no_change(scene: Scene) -> None:
    workspace = await scene.prepare()
    (workspace.path / "a.txt").write_text("a")
    _commit(workspace, "One")
    (workspace.path / "a.txt").unlink()
    _commit(workspace, "Two")

    assert await scene.collect(workspace) is None


async def test_a_detached_head_counts(scene: Scene) -> None:
    workspace = await scene.prepare()
    git("checkout", "-q", "--detach", cwd=workspace.path)
    (workspace.path / "a.txt").write_text("a")
    commit = _commit(workspace)

    changes = await scene.collect(workspace)

    assert changes is not None
    assert changes.commit == commit


@pytest.mark.parametrize("how", ["amend", "orphan", "unborn", "older"])
async def test_a_history_that_leaves_the_base_is_squashed_onto_it(scene: Scene, how: str) -> None:
    scene.publish(lambda clone: _write(clone, "second.txt", "2"))
    workspace = await scene.prepare()
    if how == "older":
        git("reset", "-q", "--soft", "HEAD~1", cwd=workspace.path)
    elif how != "amend":
        git("checkout", "-q", "--orphan", "other", cwd=workspace.path)
    (workspace.path / "a.txt").write_text("a")
    if how != "unborn":
        _commit(workspace, "Mine", *(["--amend"] if how == "amend" else []))

    changes = await scene.collect(workspace)

    assert changes is not None
    assert changes.files == 1
    result = scene.run() / "result.git"
    assert git("rev-list", changes.commit, "-1", "--parents", cwd=result).split() == [
        changes.commit,
        workspace.base,
    ]


@pytest.mark.parametrize("broken", ["pointer", "objects", "refs", "everything"])
async def test_the_files_survive_a_broken_repository(scene: Scene, broken: str) -> None:
    workspace = await scene.prepare()
    (workspace.path / "a.txt").write_text("a")
    _commit(workspace)
    repository = scene.run() / "repo.git"
    git("pack-refs", "--all", cwd=repository)
    match broken:
        case "pointer":
            (workspace.path / ".git").unlink()
        case "objects":
            for file in repository.glob("objects/??/*"):
                file.chmod(0o600)
                file.write_bytes(b"spoiled")
        case "refs":
            (repository / "packed-refs").write_bytes(os.urandom(100))
        case _:
            await scene.workspaces.remove("r-2")
            git("worktree", "remove", "--force", "--force", str(workspace.path), cwd=repository)
            workspace.path.mkdir()
            (workspace.path / "a.txt").write_text("a")

    changes = await scene.collect(workspace)

    assert changes is not None
    assert "a.txt" in scene.tree(changes)


async def test_a_commit_that_git_itself_would_not_make_is_not_taken(scene: Scene) -> None:
    workspace = await scene.prepare()
    tree = git("rev-parse", "HEAD^{tree}", cwd=workspace.path)
    bad = workspace.path / "bad"
    bad.write_text(
        f"tree {tree}\nparent {workspace.base}\nauthor nobody 1 +0000\n"
        "committer nobody 1 +0000\n\nbad\n"
    )
    commit = git("hash-object", "-t", "commit", "-w", "--literally", "bad", cwd=workspace.path)
    git("update-ref", "HEAD", commit, cwd=workspace.path)
    bad.write_text("kept")

    changes = await scene.collect(workspace)

    assert changes is not None
    result = scene.run() / "result.git"
    assert git("rev-parse", f"{changes.commit}^", cwd=result) == workspace.base


async def test_strange_names_survive(scene: Scene) -> None:
    workspace = await scene.prepare()
    names = [
        b"new\nline",
        b"tab\t",
        b"latin-\xe9",
        b"-rf",
        b"*",
        b":(top)",
        b'"quoted"',
        b"back\\slash",
        b" ",
        "\N{SNOWMAN}".encode(),
    ]
    for name in names:
        _write(workspace.path, os.fsdecode(name))

    changes = await scene.collect(workspace)

    assert changes is not None
    assert changes.files == len(names)
    assert {name.encode(errors="surrogateescape") for name in scene.tree(changes)} >= set(names)


async def test_modes_survive_and_files_without_permissions_are_read(scene: Scene) -> None:
    workspace = await scene.prepare()
    script, closed, directory = (workspace.path / name for name in ("run.sh", "closed", "dir"))
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    closed.write_text("closed")
    closed.chmod(0)
    directory.mkdir()
    (directory / "inside").write_text("inside")
    directory.chmod(0)

    changes = await scene.collect(workspace)

    assert changes is not None
    tree = scene.tree(changes)
    assert tree["run.sh"] == "100755 blob"
    assert tree["closed"] == "100644 blob"
    assert "dir/inside" in tree
    assert closed.stat().st_mode & 0o400


async def test_a_read_only_tree_can_be_removed(scene: Scene) -> None:
    workspace = await scene.prepare()
    inner = workspace.path / "cache/inner"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    inner.chmod(0o500)
    inner.parent.chmod(0)

    await scene.workspaces.remove("r-1")

    assert not workspace.path.exists()


async def test_a_bottomless_tree_is_told_and_removed(scene: Scene) -> None:
    workspace = await scene.prepare()
    fd = os.open(workspace.path, os.O_RDONLY)
    for _ in range(_DEEP):
        os.mkdir("deep", dir_fd=fd)
        below = os.open("deep", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)

    with pytest.raises(WorkspaceError, match="File name too long"):
        await scene.collect(workspace)

    await scene.workspaces.remove("r-1")
    assert not workspace.path.exists()


async def test_a_large_file_is_carried(scene: Scene) -> None:
    workspace = await scene.prepare()
    with (workspace.path / "large.bin").open("wb") as file:
        file.truncate(101 * 1024 * 1024)

    changes = await scene.collect(workspace)

    assert changes is not None
    await scene.push(workspace, changes)
    assert git("cat-file", "-s", f"{BRANCH}:large.bin", cwd=scene.server) == "105906176"


async def test_a_name_that_git_refuses_is_told(scene: Scene) -> None:
    workspace = await scene.prepare()
    (workspace.path / "sub/.GIT").mkdir(parents=True)
    (workspace.path / "sub/.GIT/config").write_text("x")

    with pytest.raises(WorkspaceError, match=r"\.GIT"):
        await scene.collect(workspace)


async def test_what_the_repository_ignores_is_not_committed(scene: Scene) -> None:
    scene.publish(lambda clone: _write(clone, ".gitignore", "*.log\n"))
    workspace = await scene.prepare()
    (workspace.path / "debug.log").write_text("noise")
    (workspace.path / "forced.log").write_text("wanted")
    git("add", "--force", "forced.log", cwd=workspace.path)
    git("commit", "-q", "-m", "Forced", cwd=workspace.path)
    (workspace.path / "a.txt").write_text("a")

    changes = await scene.collect(workspace)

    assert changes is not None
    assert {"forced.log", "a.txt"} <= set(scene.tree(changes))
    assert "debug.log" not in scene.tree(changes)


async def test_droppings_are_not_committed_unless_tracked(scene: Scene) -> None:
    scene.publish(lambda clone: _write(clone, "CLAUDE.md", "ours"))
    scene.change(ignored=lambda: (".claude-flow/", "CLAUDE.md", "memory/", "claude-flow"))
    workspace = await scene.prepare()
    (workspace.path / "CLAUDE.md").write_text("ours, changed")
    (workspace.path / "claude-flow").write_text("#!/bin/sh\n")
    for directory in (".claude-flow", "memory", "src/memory"):
        (workspace.path / directory).mkdir()
        (workspace.path / directory / "file").write_text("x")
    assert "claude-flow/" not in git("status", "--porcelain", cwd=workspace.path)

    changes = await scene.collect(workspace)

    assert changes is not None
    assert set(scene.tree(changes)) == {"CLAUDE.md", "README.md", "src/main.py", "src/memory/file"}


async def test_line_ends_that_break_the_repositorys_own_rules_are_no_change(scene: Scene) -> None:
    def write(clone: Path) -> None:
        (clone / "dos.txt").write_bytes(b"one\r\ntwo\r\n")
        git("add", "dos.txt", cwd=clone)
        git("commit", "-q", "-m", "Before the rule", cwd=clone)
        (clone / ".gitattributes").write_text("* text\n")
        git("add", ".gitattributes", cwd=clone)
        git("commit", "-q", "-m", "The rule", cwd=clone)
        git("update-index", "--assume-unchanged", "dos.txt", cwd=clone)

    scene.publish(write)
    workspace = await scene.prepare()
    assert await scene.collect(workspace) is None
    (workspace.path / "a.txt").write_text("a\n")

    changes = await scene.collect(workspace)

    assert changes is not None
    assert changes.files == 1


async def test_a_submodule_that_an_agent_committed_becomes_its_files(scene: Scene) -> None:
    workspace = await scene.prepare()
    nested = workspace.path / "vendored"
    git("init", "-q", str(nested), cwd=workspace.path)
    (nested / "file.txt").write_text("x")
    git("add", "-A", cwd=nested)
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    git(*identity, "commit", "-q", "-m", "nested", cwd=nested)
    _commit(workspace)
    assert git("ls-tree", "HEAD", "vendored", cwd=workspace.path).startswith("160000")

    changes = await scene.collect(workspace)

    assert changes is not None
    assert scene.tree(changes)["vendored/file.txt"] == "100644 blob"


async def test_a_submodule_of_the_repository_stays_as_it_is(scene: Scene) -> None:
    def add_submodule(clone: Path) -> None:
        git("submodule", "--quiet", "add", str(scene.server), "lib", cwd=clone)

    scene.publish(add_submodule)
    workspace = await scene.prepare()
    assert list((workspace.path / "lib").iterdir()) == []
    (workspace.path / "a.txt").write_text("a")

    changes = await scene.collect(workspace)

    assert changes is not None
    assert changes.files == 1
    assert scene.tree(changes)["lib"] == "160000 commit"
