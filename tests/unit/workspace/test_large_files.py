"""Git LFS: the agent works on content, history holds pointers, the server gets the objects."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from claude_flow.errors import WorkspaceError
from claude_flow.workspace.large_files import object_in
from tests.unit.workspace.conftest import BRANCH, Scene, git

OLD, NEW, NEWER = b"\0old" * 1000, b"\0new" * 1000, b"\0newer" * 1000


def oid_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pointer_to(content: bytes) -> str:
    size = len(content)
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid_of(content)}\nsize {size}"


def use_lfs(clone: Path) -> None:
    git("lfs", "install", "--local", "--skip-repo", cwd=clone)
    (clone / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    (clone / "big.bin").write_bytes(OLD)


@pytest.fixture
def large(scene: Scene) -> Scene:
    """A server with one large file."""
    scene.publish(use_lfs)
    scene.change(lfs=lambda: True)
    assert on_server(scene, OLD)
    return scene


def on_server(scene: Scene, content: bytes) -> bool:
    found = object_in(scene.server, oid_of(content))
    return found.is_file() and found.read_bytes() == content


async def test_the_agent_finds_content_and_its_change_is_a_pointer(large: Scene) -> None:
    workspace = await large.prepare()
    assert (workspace.path / "big.bin").read_bytes() == OLD
    assert git("status", "--porcelain", cwd=workspace.path) == ""

    (workspace.path / "big.bin").write_bytes(NEW)
    (workspace.path / "second.bin").write_bytes(NEWER)
    changes = await large.collect(workspace)
    assert changes is not None
    assert not on_server(large, NEW)
    await large.push(workspace, changes)

    assert changes.paths == ("big.bin", "second.bin")
    assert git("show", f"{BRANCH}:big.bin", cwd=large.server) == pointer_to(NEW)
    assert on_server(large, NEW)
    assert on_server(large, NEWER)


async def test_what_is_not_touched_is_no_change(large: Scene) -> None:
    workspace = await large.prepare()
    (workspace.path / "big.bin").write_bytes(OLD)  # the same again, with another time

    assert await large.collect(workspace) is None


async def test_every_commit_of_the_agents_has_its_objects(large: Scene) -> None:
    workspace = await large.prepare()
    for content in (NEW, NEWER):
        (workspace.path / "big.bin").write_bytes(content)
        git("commit", "-q", "-a", "-m", "By the agent", cwd=workspace.path)
    head = git("rev-parse", "HEAD", cwd=workspace.path)

    changes = await large.collect(workspace)
    assert changes is not None
    await large.push(workspace, changes)

    assert changes.commit == head
    assert on_server(large, NEW)
    assert on_server(large, NEWER)


@pytest.mark.parametrize("spoil", ["gone", "other content"])
async def test_commits_without_their_objects_are_not_taken(large: Scene, spoil: str) -> None:
    workspace = await large.prepare()
    for content in (NEW, NEWER):
        (workspace.path / "big.bin").write_bytes(content)
        git("commit", "-q", "-a", "-m", "By the agent", cwd=workspace.path)
    stored = object_in(large.run() / "repo.git", oid_of(NEW))
    stored.unlink()
    if spoil == "other content":
        stored.write_bytes(b"x" * len(NEW))

    changes = await large.collect(workspace)
    assert changes is not None
    await large.push(workspace, changes)

    assert git("rev-list", f"{workspace.base}..{BRANCH}", cwd=large.server) == changes.commit
    assert git("show", f"{BRANCH}:big.bin", cwd=large.server) == pointer_to(NEWER)
    assert on_server(large, NEWER)
    assert not object_in(large.server, oid_of(NEW)).exists()


async def test_an_attempt_that_was_cut_short_is_carried_on(large: Scene) -> None:
    first = await large.prepare()
    (first.path / "big.bin").write_bytes(NEW)
    git("commit", "-q", "-a", "-m", "By the agent", cwd=first.path)
    (first.path / "second.bin").write_bytes(NEWER)

    second = await large.prepare(carry_on=True)
    assert second.carries_on
    assert (second.path / "big.bin").read_bytes() == NEW
    assert (second.path / "second.bin").read_bytes() == NEWER
    (second.path / "big.bin").unlink()
    git("checkout", "-q", "--", "big.bin", cwd=second.path)
    assert (second.path / "big.bin").read_bytes() == NEW
    changes = await large.collect(second)
    assert changes is not None
    await large.push(second, changes)

    assert on_server(large, NEW)
    assert on_server(large, NEWER)


async def test_a_later_run_goes_on_with_the_published_branch(large: Scene) -> None:
    first = await large.prepare()
    (first.path / "big.bin").write_bytes(NEW)
    changes = await large.collect(first)
    assert changes is not None
    await large.push(first, changes)

    second = await large.prepare("r-2", BRANCH)

    assert (second.path / "big.bin").read_bytes() == NEW


async def test_an_object_that_the_server_lost_is_told(large: Scene) -> None:
    object_in(large.server, oid_of(OLD)).unlink()

    with pytest.raises(WorkspaceError, match="fetching large files of octo/widgets"):
        await large.prepare()


async def test_without_the_setting_pointers_are_plain_files(large: Scene) -> None:
    large.change(lfs=lambda: False)
    workspace = await large.prepare()

    assert (workspace.path / "big.bin").read_text() == pointer_to(OLD) + "\n"
    assert await large.collect(workspace) is None


async def test_mirrors_without_history_have_the_large_files_too(large: Scene) -> None:
    git("config", "uploadpack.allowFilter", "true", cwd=large.server)
    large.change(partial_clone=lambda: True)
    workspace = await large.prepare()
    assert (workspace.path / "big.bin").read_bytes() == OLD

    (workspace.path / "big.bin").write_bytes(NEW)
    changes = await large.collect(workspace)
    assert changes is not None
    await large.push(workspace, changes)

    assert on_server(large, NEW)


@pytest.mark.parametrize("written_by", ["repository", "agent"])
async def test_no_lfsconfig_names_the_server(large: Scene, written_by: str) -> None:
    def write(directory: Path) -> None:
        (directory / ".lfsconfig").write_text(
            "[lfs]\n\turl = http://127.0.0.1:9/evil\n\tpushurl = http://127.0.0.1:9/evil\n"
            '\tfetchexclude = *\n[remote "origin"]\n\tlfsurl = http://127.0.0.1:9/evil\n'
        )

    if written_by == "repository":
        large.publish(write)
    workspace = await large.prepare()
    write(workspace.path)
    assert (workspace.path / "big.bin").read_bytes() == OLD

    (workspace.path / "big.bin").write_bytes(NEW)
    changes = await large.collect(workspace)
    assert changes is not None
    await large.push(workspace, changes)

    assert on_server(large, NEW)


async def test_no_link_leads_out_of_the_store(large: Scene) -> None:
    private = large.directory / "private"
    private.write_bytes(NEW)
    workspace = await large.prepare()
    (workspace.path / "big.bin").write_bytes(NEW)
    git("commit", "-q", "-a", "-m", "By the agent", cwd=workspace.path)
    stored = object_in(large.run() / "repo.git", oid_of(NEW))
    stored.unlink()
    stored.symlink_to(private)
    (workspace.path / "big.bin").write_bytes(NEWER)

    changes = await large.collect(workspace)

    assert changes is not None
    assert not object_in(large.run() / "result.git", oid_of(NEW)).exists()
