"""The server below: its address, its port, its signals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_flow.daemon.http import create_app
from claude_flow.daemon.http_guard import ApiToken
from claude_flow.daemon.http_server import RunningServer, serve
from claude_flow.errors import ServiceError
from claude_flow.testing.service_view import FakeServiceView


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("strict_umask")
async def test_the_address_is_written_for_clients(server: RunningServer, tmp_path: Path) -> None:
    path = server.write_address(tmp_path)
    assert path == tmp_path / "http-address"
    assert path.read_text() == f"{server.address}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644, "it is no secret"


async def test_ipv6(view: FakeServiceView) -> None:
    running = await serve(create_app(view, ApiToken("t")), "::1", 0)
    try:
        assert running.address.startswith("[::1]:")
        reader, writer = await asyncio.open_connection("::1", int(running.address[6:]))
        writer.write(f"GET /health HTTP/1.0\r\nHost: {running.address}\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    finally:
        await running.stop()
    assert b" 200 " in head.splitlines()[0]
    assert json.loads(body)["status"] == "pass"


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", None), ("192.0.2.1", 0)])
async def test_an_address_that_cannot_be_had(
    view: FakeServiceView, server: RunningServer, host: str, port: int | None
) -> None:
    taken = int(server.address.rpartition(":")[2]) if port is None else port
    with pytest.raises(ServiceError, match=rf"{host} port {taken}: .*monitoring\.http_port"):
        await serve(create_app(view, ApiToken("t")), host, taken)


async def test_signals_stay_the_daemons(view: FakeServiceView) -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    before = handlers()
    running = await serve(create_app(view, ApiToken("t")), "127.0.0.1", 0)
    during = handlers()
    await running.stop()
    assert during == before


async def test_stop_closes_the_port(view: FakeServiceView) -> None:
    running = await serve(create_app(view, ApiToken("t")), "127.0.0.1", 0)
    await running.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", int(running.address.rpartition(":")[2]))
