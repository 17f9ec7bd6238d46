"""Mirrors that leave the content of files at the server until a run checks it out."""

from __future__ import annotations

from pathlib import Path

import pytest

from claude_flow.errors import WorkspaceError
from tests.unit.workspace.conftest import BRANCH, WIDGETS, Scene, git

_BIG = 200_000


@pytest.fixture
def partial(scene: Scene) -> Scene:
    """A server with an old large file that no branch has any more, and mirrors without files."""
    git("config", "uploadpack.allowFilter", "true", cwd=scene.server)
    scene.publish(lambda clone: _write(clone, "old.bin", "x" * _BIG))
    scene.publish(lambda clone: (clone / "old.bin").unlink())
    scene.publish(lambda clone: _write(clone, "topic.txt", "topic"), "topic")
    scene.change(partial_clone=lambda: True)
    return scene


async def test_a_run_has_its_files_and_needs_no_server(partial: Scene) -> None:
    workspace = await partial.prepare()
    partial.server.rename(partial.directory / "away")

    assert (workspace.path / "src/main.py").read_text() == "print(1)\n"
    (workspace.path / "src/main.py").write_text("print(2)\n")
    assert "print(2)" in git("diff", cwd=workspace.path)
    git("commit", "-q", "-a", "-m", "By the agent", cwd=workspace.path)
    (workspace.path / "new.txt").write_text("new\n")
    changes = await partial.collect(workspace)

    assert changes is not None
    assert (changes.paths, changes.lines) == (("new.txt", "src/main.py"), 3)
    (partial.directory / "away").rename(partial.server)
    await partial.push(workspace, changes)
    assert git("show", f"{BRANCH}:src/main.py", cwd=partial.server) == "print(2)"


async def test_what_no_run_checks_out_stays_at_the_server(partial: Scene) -> None:
    await partial.prepare()

    missing = [
        line
        for line in git(
            "rev-list", "--objects", "--all", "--missing=print", cwd=partial.mirror
        ).split("\n")
        if line.startswith("?")
    ]
    assert len(missing) == 2  # old.bin and the topic's file


async def test_the_next_run_brings_only_what_is_new(partial: Scene) -> None:
    await partial.prepare()
    partial.publish(lambda clone: _write(clone, "src/more.py", "print(3)\n"))

    second = await partial.prepare("r-2")
    third = await partial.prepare("r-3", "topic")

    assert (second.path / "src/more.py").exists()
    assert (third.path / "topic.txt").read_text() == "topic"


async def test_an_attempt_that_was_cut_short_is_carried_on(partial: Scene) -> None:
    first = await partial.prepare()
    (first.path / "src/main.py").write_text("print(2)\n")
    partial.publish(lambda clone: _write(clone, "src/more.py", "print(3)\n"))

    second = await partial.prepare(carry_on=True)

    assert second.carries_on
    assert (second.path / "src/main.py").read_text() == "print(2)\n"


async def test_many_packs_are_packed_anew_without_losing_any(partial: Scene) -> None:
    early = await partial.prepare("r-early")
    for number in range(41):
        partial.publish(lambda clone, number=number: _write(clone, "n.txt", str(number)))  # type: ignore[misc] # a lambda's default has no type
        if number % 10 == 0 or number == 40:
            await partial.prepare()
    packs = list(partial.mirror.glob("objects/pack/*.pack"))
    for pack in packs:  # as many as it takes
        for copy in range(8):
            for part in (pack, pack.with_suffix(".idx"), pack.with_suffix(".promisor")):
                part.with_name(f"{part.stem}{copy}{part.suffix}").write_bytes(part.read_bytes())

    workspace = await partial.prepare("r-late")

    assert len(list(partial.mirror.glob("objects/pack/*.pack"))) < 5
    assert (workspace.path / "n.txt").read_text() == "40"
    (early.path / "src/main.py").write_text("print(2)\n")
    assert await partial.collect(early) is not None


async def test_turned_off_again_the_mirror_is_made_whole(partial: Scene) -> None:
    await partial.prepare()
    partial.change(partial_clone=lambda: False)

    await partial.prepare("r-2")

    assert git("fsck", "--connectivity-only", cwd=partial.mirror) == ""
    assert not list(partial.mirror.glob("objects/pack/*.promisor"))


async def test_turned_on_later_the_mirror_is_kept(scene: Scene) -> None:
    await scene.prepare()
    git("config", "uploadpack.allowFilter", "true", cwd=scene.server)
    scene.publish(lambda clone: _write(clone, "new.txt"))
    scene.change(partial_clone=lambda: True)
    before = scene.mirror.stat().st_ino

    workspace = await scene.prepare("r-2")

    assert (workspace.path / "new.txt").exists()
    assert scene.mirror.stat().st_ino == before


async def test_a_server_that_cannot_filter_sends_everything(scene: Scene) -> None:
    git("config", "uploadpack.allowFilter", "false", cwd=scene.server)
    scene.change(partial_clone=lambda: True)

    workspace = await scene.prepare()

    assert (workspace.path / "README.md").exists()


async def test_files_that_the_server_lost_are_told(partial: Scene) -> None:
    await partial.prepare()
    commit = partial.publish(lambda clone: _write(clone, "lost.txt", "lost"))
    blob = git("rev-parse", f"{commit}:lost.txt", cwd=partial.server)
    for loose in partial.server.glob(f"objects/{blob[:2]}/{blob[2:]}"):
        loose.unlink()

    with pytest.raises(WorkspaceError, match="octo/widgets"):
        await partial.prepare("r-2")


def _write(directory: Path, name: str, text: str = "x") -> None:
    (directory / name).write_text(text)


async def test_a_single_file_of_another_branch_is_brought(partial: Scene) -> None:
    partial.publish(lambda clone: _write(clone, "flow.md", "Do it."))
    await partial.prepare(start_from="topic")
    read = partial.workspaces.committed_file(WIDGETS, "main", "flow.md", max_bytes=100)
    assert await read == b"Do it."
