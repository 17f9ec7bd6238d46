"""Refused pushes, in the server's own words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_flow.errors import PushRejectedError, WorkspaceError, WorkspaceUnreachableError
from claude_flow.ports import Changes, Workspace
from claude_flow.testing.world import World
from claude_flow.workspace import Credential
from tests.unit.workspace.conftest import BRANCH, WIDGETS, Scene


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "world") as world:
        world.github.add_repository(WIDGETS)
        yield world


@pytest.fixture
def online(scene: Scene, world: World) -> Scene:
    scene.change(
        git_base_url=world.git_base_url,
        credential=lambda: Credential("x-access-token", world.token),
    )
    return scene


async def _ready(scene: Scene) -> tuple[Workspace, Changes]:
    workspace = await scene.prepare()
    (workspace.path / "a.txt").write_text("a")
    changes = await scene.collect(workspace)
    assert changes is not None
    return workspace, changes


async def test_a_hooks_words_are_passed_on(online: Scene, world: World) -> None:
    workspace, changes = await _ready(online)
    hook = world.github.git.path(str(WIDGETS)) / "hooks/pre-receive"
    hook.write_text(
        "#!/bin/sh\nprintf 'GH013: Repository rule\\033[1m violations found\\n' >&2\nexit 1\n"
    )
    hook.chmod(0o755)

    with pytest.raises(PushRejectedError, match="GH013: Repository rule violations found"):
        await online.push(workspace, changes)


async def test_a_token_that_may_only_read_is_told(online: Scene, world: World) -> None:
    workspace, changes = await _ready(online)
    world.github.set_permission(WIDGETS, world.github.tokens[world.token], "read")

    with pytest.raises(PushRejectedError, match="403") as caught:
        await online.push(workspace, changes)

    assert caught.value.hint is not None
    assert "token may write" in caught.value.hint


async def test_a_revoked_token_is_no_refusal_of_the_change(online: Scene, world: World) -> None:
    workspace, changes = await _ready(online)
    world.github.revoke_token(world.token)

    with pytest.raises(WorkspaceError, match="Authentication failed") as caught:
        await online.push(workspace, changes)

    assert not isinstance(caught.value, PushRejectedError)


async def test_a_server_out_of_reach_may_be_tried_again(online: Scene) -> None:
    workspace, changes = await _ready(online)
    online.change(git_base_url="http://127.0.0.1:9")

    with pytest.raises(WorkspaceUnreachableError):
        await online.push(workspace, changes)


async def test_a_large_change_is_sent_in_chunks(online: Scene, world: World) -> None:
    # Above http.postBuffer (1 MiB) git no longer tells the length beforehand.
    workspace = await online.prepare()
    (workspace.path / "large.txt").write_text("".join(f"{n * n:x}\n" for n in range(400_000)))
    changes = await online.collect(workspace)
    assert changes is not None

    await online.push(workspace, changes)

    assert world.github.branches(WIDGETS)[BRANCH] == changes.commit


async def test_pushing_what_was_never_collected_is_told(online: Scene) -> None:
    workspace = await online.prepare()

    with pytest.raises(WorkspaceError, match="nothing collected"):
        await online.push(workspace, Changes("0" * 40, (), 0))


async def test_a_server_that_never_answers_may_be_tried_again(online: Scene, world: World) -> None:
    workspace, changes = await _ready(online)
    hook = world.github.git.path(str(WIDGETS)) / "hooks/pre-receive"
    go = hook.parent / "go"
    hook.write_text(f"#!/bin/sh\nwhile ! test -e {go}; do sleep 0.02; done\n")
    hook.chmod(0o755)
    online.change(transfer_timeout_seconds=0.5)

    try:
        with pytest.raises(WorkspaceUnreachableError, match="too slow"):
            await online.push(workspace, changes)
    finally:
        go.touch()
