"""Whatever an agent leaves in its workspace and repository, only its change comes out of them."""

from __future__ import annotations

import os
import shutil
import socket

import pytest

from claude_flow.errors import WorkspaceError
from tests.unit.workspace.conftest import Scene, git
from tests.unit.workspace.traps import common, nested_repository


async def test_no_attribute_hides_lines_from_the_count(scene: Scene) -> None:
    workspace = await scene.prepare()
    (workspace.path / ".gitattributes").write_text("* -diff\n")
    (workspace.path / "src/main.py").write_text("print(2)\n" * 100)

    changes = await scene.collect(workspace)

    assert changes is not None
    assert changes.lines == 102


async def test_a_nested_repository_becomes_its_files(scene: Scene) -> None:
    workspace = await scene.prepare()
    nested_repository(workspace, "false")

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
    (common(workspace) / "info/grafts").write_text(f"{mine}\n")
    (common(workspace) / "shallow").write_text(f"{mine}\n")

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
