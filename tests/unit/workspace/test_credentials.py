"""The login reaches git and the server, and is nowhere else to be found."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from claude_flow.errors import WorkspaceError
from claude_flow.testing.world import World
from claude_flow.workspace import Credential
from claude_flow.workspace.credentials import offered
from tests.unit.workspace.conftest import AT, BRANCH, WIDGETS, Scene

_PATIENCE_SECONDS = 20.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "world") as world:
        world.github.add_repository(WIDGETS, private=True)
        yield world


@pytest.fixture
def online(scene: Scene, world: World) -> Scene:
    """The scene, over HTTP with a login."""
    scene.change(
        git_base_url=world.git_base_url,
        credential=lambda: Credential("x-access-token", world.token),
    )
    return scene


async def test_a_push_leaves_the_token_nowhere(online: Scene, world: World) -> None:
    # The server holds the push open until we have looked around.
    server = world.github.git.path(str(WIDGETS))
    (server / "hooks/update").write_text(
        f"#!/bin/sh\ntouch {server}/waiting\nwhile ! test -e {server}/go; do sleep 0.02; done\n"
    )
    workspace = await online.prepare()
    (workspace.path / "new.txt").write_text("new")
    changes = await online.collect(workspace)
    assert changes is not None

    push = asyncio.create_task(online.push(workspace, changes))
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not os.access(server / "waiting", os.F_OK) and not push.done():  # noqa: ASYNC110 - a file is no event
                await asyncio.sleep(0.02)
        seen = _processes()
    finally:
        os.close(os.open(server / "go", os.O_CREAT))
        await push

    token = world.token.encode()
    pushing = [text for text in seen.values() if b"git\0push\0" in text]
    assert pushing, "the push was looked at while it ran"
    assert [pid for pid, text in seen.items() if token in text] == []
    assert _files_with(token, online.directory / "state") == []
    assert _files_with(token, online.directory / "workspaces") == []
    assert world.github.branches(WIDGETS)[BRANCH] == changes.commit


def _processes() -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = (entry / "cmdline").read_bytes() + (
                    entry / "environ"
                ).read_bytes()
            except OSError:
                continue  # it ended, or is another user's
    return found


def _files_with(secret: bytes, directory: Path) -> list[Path]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return [path for path in files if secret in path.read_bytes()]


async def test_a_wrong_token_is_told_without_showing_it(online: Scene, world: World) -> None:
    world.github.revoke_token(world.token)

    with pytest.raises(WorkspaceError, match="Authentication failed") as caught:
        await online.prepare()

    assert caught.value.hint is not None
    assert "github.token" in caught.value.hint
    assert world.token not in str(caught.value)


async def test_no_token_is_told(online: Scene) -> None:
    online.change(credential=lambda: None)

    with pytest.raises(WorkspaceError, match=r"github\.token"):
        await online.prepare()


async def test_a_new_token_is_used_at_once(online: Scene, world: World) -> None:
    tokens = [world.token]
    online.change(credential=lambda: Credential("x-access-token", tokens[-1]))
    workspaces = online.workspaces
    await workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")

    world.github.revoke_token(world.token)
    tokens.append(world.github.add_token())

    again = await workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    assert await workspaces.collect(again, WIDGETS, message="m", at=AT) is None


async def test_a_renamed_repository_is_followed(online: Scene, world: World) -> None:
    world.github.rename_repository(WIDGETS, "gadgets")

    workspace = await online.prepare()

    assert (workspace.path / "README.md").exists()


@dataclass
class _Stranger:
    """A server that asks for a login and notes what it is given."""

    seen: list[str] = field(default_factory=list)
    requests: int = 0


def _serve(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


async def test_a_redirect_elsewhere_does_not_get_the_token(scene: Scene) -> None:
    stranger = _Stranger()

    class Asking(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stranger.requests += 1
            stranger.seen += self.headers.get_all("Authorization") or []
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="stranger"')
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    asking = _serve(Asking)

    class Redirecting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{asking.server_port}{self.path}")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    redirecting = _serve(Redirecting)
    scene.change(
        git_base_url=f"http://127.0.0.1:{redirecting.server_port}",
        credential=lambda: Credential("x-access-token", "the-token"),
    )
    try:
        with pytest.raises(WorkspaceError):
            await scene.prepare()
    finally:
        for server in (asking, redirecting):
            server.shutdown()
            server.server_close()

    assert stranger.requests > 0
    assert stranger.seen == []


def test_a_credential_does_not_show_its_password() -> None:
    assert "the-token" not in repr(Credential("x-access-token", "the-token"))


@pytest.mark.parametrize("password", ["two\nlines", "nul\0"])
def test_a_token_that_would_break_gits_protocol_is_refused(password: str) -> None:
    with (
        pytest.raises(WorkspaceError, match="line break") as caught,
        offered(Credential("x", password), "https://github.com"),
    ):
        pass

    assert password not in str(caught.value)


def test_the_login_is_sealed_and_gone_afterwards() -> None:
    with offered(Credential("user", "the-token"), "https://github.com") as offer:
        fd, _refused = offer.fds
        with pytest.raises(PermissionError):
            os.write(fd, b"x")
        assert "the-token" not in repr(offer)

    for closed in offer.fds:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(closed)
