"""An attempt that was cut short leaves its work to the next one, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from claude_flow.errors import WorkspaceUnreachableError
from claude_flow.ports import Workspace
from tests.unit.workspace.conftest import BRANCH, Scene, git


def _work(workspace: Workspace) -> str:
    """A commit of the agent's own and changes beside it; the commit."""
    (workspace.path / "committed.txt").write_text("1\n")
    git("add", "-A", cwd=workspace.path)
    git("commit", "-q", "-m", "By the agent", cwd=workspace.path)
    (workspace.path / "uncommitted.txt").write_text("2\n")
    (workspace.path / "src/main.py").unlink()
    return git("rev-parse", "HEAD", cwd=workspace.path)


async def test_commits_stay_commits_and_changes_stay_changes(scene: Scene) -> None:
    first = await scene.prepare()
    mine = _work(first)

    second = await scene.prepare(carry_on=True)

    assert (second.base, second.carries_on) == (first.base, True)
    assert git("rev-parse", "HEAD", cwd=second.path) == mine
    assert git("branch", "--show-current", cwd=second.path) == BRANCH
    assert git("status", "--porcelain", cwd=second.path).split("\n") == [
        "D  src/main.py",
        "A  uncommitted.txt",
    ]
    assert git("fsck", "--no-dangling", cwd=second.path) == ""
    changes = await scene.collect(second)
    assert changes is not None
    assert set(changes.paths) == {"committed.txt", "src/main.py", "uncommitted.txt"}
    await scene.push(second, changes)
    assert git("rev-list", "main.." + BRANCH, cwd=scene.server).split() == [changes.commit, mine]
    assert sorted(path.name for path in scene.run().iterdir()) == [
        "repo.git",
        "result.git",
        "start.index",
        "workspace.json",
    ]


async def test_it_goes_from_attempt_to_attempt(scene: Scene) -> None:
    await scene.prepare()
    for number in range(3):
        workspace = await scene.prepare(carry_on=True)
        (workspace.path / f"{number}.txt").write_text("x")

    changes = await scene.collect(workspace)

    assert changes is not None
    assert changes.paths == ("0.txt", "1.txt", "2.txt")


async def test_nothing_left_is_a_clean_start_at_the_present_head(scene: Scene) -> None:
    await scene.prepare()
    head = scene.publish(lambda clone: _write(clone, "new.txt"))

    workspace = await scene.prepare(carry_on=True)

    assert (workspace.base, workspace.carries_on) == (head, False)


async def test_without_being_asked_it_starts_clean(scene: Scene) -> None:
    _work(await scene.prepare())

    workspace = await scene.prepare()

    assert not workspace.carries_on
    assert git("status", "--porcelain", cwd=workspace.path) == ""
    assert git("rev-parse", "HEAD", cwd=workspace.path) == workspace.base


async def test_a_base_branch_that_moved_on_is_no_hindrance(scene: Scene) -> None:
    first = await scene.prepare()
    _work(first)
    scene.publish(lambda clone: _write(clone, "new.txt"))

    second = await scene.prepare(carry_on=True)

    assert (second.base, second.carries_on) == (first.base, True)
    assert not (second.path / "new.txt").exists()


async def test_a_base_branch_that_was_rewritten_is_begun_anew(scene: Scene) -> None:
    _work(await scene.prepare())
    clone = scene.directory / "clone"
    git("commit", "-q", "--amend", "-m", "Rewritten", cwd=clone)
    git("push", "-q", "--force", "origin", "HEAD:main", cwd=clone)

    second = await scene.prepare(carry_on=True)

    assert second.base == git("rev-parse", "HEAD", cwd=clone)
    assert not second.carries_on


async def test_a_pull_requests_branch_that_somebody_pushed_to_is_begun_anew(scene: Scene) -> None:
    scene.publish(lambda clone: _write(clone, "first.txt"), BRANCH)
    _work(await scene.prepare(start_from=BRANCH))
    theirs = scene.publish(lambda clone: _write(clone, "theirs.txt"), BRANCH)

    second = await scene.prepare(start_from=BRANCH, carry_on=True)

    assert (second.base, second.published, second.carries_on) == (theirs, theirs, False)


async def test_a_server_out_of_reach_loses_nothing(scene: Scene) -> None:
    _work(await scene.prepare())
    url = scene.settings.git_base_url
    scene.change(git_base_url="http://127.0.0.1:9")
    with pytest.raises(WorkspaceUnreachableError):
        await scene.prepare(carry_on=True)
    scene.change(git_base_url=url)

    workspace = await scene.prepare(carry_on=True)

    assert workspace.carries_on
    assert (workspace.path / "uncommitted.txt").exists()


async def test_a_half_made_workspace_is_not_taken_for_work(scene: Scene) -> None:
    """Its missing files would be deletions."""
    half = await scene.prepare()
    _work(half)
    await scene.collect(half)
    # As a daemon leaves it that is killed while it checks out for the second attempt.
    (scene.run() / "result.git").rename(scene.run() / "left.git")
    (scene.run() / "start.index").unlink()
    (half.path / "README.md").unlink()

    workspace = await scene.prepare(carry_on=True)

    assert workspace.carries_on
    assert (workspace.path / "README.md").exists()
    assert (workspace.path / "uncommitted.txt").exists()


async def test_what_lost_its_objects_is_begun_anew(scene: Scene) -> None:
    workspace = await scene.prepare()
    _work(workspace)
    await scene.collect(workspace)
    (scene.run() / "result.git").rename(scene.run() / "left.git")
    (scene.run() / "start.index").unlink()
    shutil.rmtree(scene.run() / "left.git/objects")
    (scene.run() / "left.git/objects").mkdir()

    assert not (await scene.prepare(carry_on=True)).carries_on


async def test_what_cannot_be_read_is_begun_anew(scene: Scene) -> None:
    workspace = await scene.prepare()
    (workspace.path / "sub/.GIT").mkdir(parents=True)
    (workspace.path / "sub/.GIT/config").write_text("x")

    second = await scene.prepare(carry_on=True)

    assert not second.carries_on
    assert not (second.path / "sub").exists()


async def test_nothing_that_was_configured_is_carried_over(scene: Scene) -> None:
    workspace = await scene.prepare()
    _work(workspace)
    git("config", "core.fsmonitor", "false", cwd=workspace.path)
    git("config", "alias.st", "!true", cwd=workspace.path)
    hook = scene.run() / "repo.git/hooks/post-checkout"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    nested = workspace.path / "vendored"
    git("init", "-q", str(nested), cwd=workspace.path)
    (nested / "file.txt").write_text("nested")

    second = await scene.prepare(carry_on=True)

    names = git("config", "--list", "--name-only", "--local", cwd=second.path).split()
    assert not {"core.fsmonitor", "alias.st"} & set(names)
    assert not hook.exists()
    assert (second.path / "vendored/file.txt").read_text() == "nested"
    assert not (second.path / "vendored/.git").exists()


async def test_a_base_of_the_agents_choice_is_not_believed(scene: Scene) -> None:
    """It would leave the difference between the two out of what is judged."""
    other = scene.publish(lambda clone: _write(clone, "other.txt"), "other")
    workspace = await scene.prepare()
    _work(workspace)
    note = scene.run() / "workspace.json"
    note.write_text(note.read_text().replace(workspace.base, other))

    second = await scene.prepare(carry_on=True)

    assert (second.base, second.carries_on) == (workspace.base, False)


def _write(directory: Path, name: str) -> None:
    (directory / name).write_text("x\n")
