"""Serves the HTTP side inside the daemon's own loop, and tells others where."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from claude_flow.daemon.http_guard import replace_file
from claude_flow.errors import ServiceError
from claude_flow.service.places import ADDRESS_FILE

_STOP_SECONDS = 3
_MAX_CONNECTIONS = 200
_MAX_HEADER_BYTES = 32 * 1024


class _Server(uvicorn.Server):
    """uvicorn as a guest: signals belong to the daemon."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.listening.set()


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that takes requests at ``address`` (``127.0.0.1:8787``) until ``stop``."""

    address: str
    task: asyncio.Task[None]
    _server: _Server
    _app: Starlette

    async def stop(self) -> None:
        """Take no more, end the event streams, let answers under way finish (3 s at most)."""
        self._app.state.streams.close()
        self._server.should_exit = True
        await self.task

    def write_address(self, directory: Path) -> Path:
        """Put the address into ``directory/http-address`` for all of this host's clients.

        Raises OSError.
        """
        return replace_file(directory / ADDRESS_FILE, self.address + "\n", mode=0o644)


async def serve(app: Starlette, host: str, port: int) -> RunningServer:
    """Serve ``app`` from ``create_app``; port 0 takes any free one.

    ``task`` only ends by itself if the server broke. Raises ServiceError if the address cannot
    be had.
    """
    listener = _bind(host, port)
    address = _address(listener)
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            http="h11",
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=_STOP_SECONDS,
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    listening = asyncio.create_task(server.listening.wait())
    await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
    listening.cancel()
    if task.done():
        task.result()
    return RunningServer(address, task, server, app)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if _is_ipv6(host) else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ServiceError(
            f"cannot listen at {host} port {port}: {error}",
            hint="another program may hold the port; set monitoring.http_host and "
            "monitoring.http_port",
        ) from error


def _is_ipv6(host: str) -> bool:
    try:
        return isinstance(ipaddress.ip_address(host), ipaddress.IPv6Address)
    except ValueError:
        return False


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
