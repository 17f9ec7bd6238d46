"""Serves an ASGI application on loopback from a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

_START_SECONDS = 20.0


class LoopbackServer:
    """One uvicorn server in its own thread; the port is bound when the object is made."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        # Only with the protocol named does asyncio send small answers at once (TCP_NODELAY).
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise OSError(error.errno, f"cannot listen on {host}:{port}") from error
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._connections: dict[int, asyncio.Transport] = {}

    @property
    def url(self) -> str:
        """The base address, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def start(self, app: Any) -> Self:
        """Serve ``app`` until it is stopped; does not wait for the start."""
        connections = self._connections

        class Protocol(H11Protocol):
            """Remembers its transport, so that a fault can cut the wire."""

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                if self.client is not None:
                    connections[self.client[1]] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                if self.client is not None:
                    connections.pop(self.client[1], None)
                super().connection_lost(exc)

        config = uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            proxy_headers=False,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        server = uvicorn.Server(config)
        self._server = server
        self._thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[self._socket])),
            name=f"loopback-{self.port}",
            daemon=True,
        )
        self._thread.start()
        return self

    def wait_until_started(self) -> None:
        """Wait until connections are taken. Raises RuntimeError if that fails."""
        deadline = time.monotonic() + _START_SECONDS
        while self._server is None or not self._server.started:
            is_alive = self._thread is not None and self._thread.is_alive()
            if time.monotonic() > deadline or not is_alive:
                raise RuntimeError(f"the stand-in's server at {self.url} did not start")
            time.sleep(0.005)

    def cut(self, client_port: int) -> None:
        """Drop a client's connection at once; called from the server's own loop."""
        transport = self._connections.get(client_port)
        if transport is not None:
            transport.abort()

    def begin_stop(self) -> None:
        """Take no more; does not wait for the end."""
        if self._server is not None:
            self._server.should_exit = True

    def stop(self) -> None:
        """End serving and close the port."""
        self.begin_stop()
        if self._thread is not None:
            self._thread.join()
        self._socket.close()
