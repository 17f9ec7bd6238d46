"""The way out of a sandbox with a list of hosts: the library proxy.py, told whom to let through.

It works in threads of ``claude-flow-run``, outside the sandbox: what it does is no activity of
the attempt's, and it ends with that process, however that ends.
"""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import tempfile
import threading
from argparse import Namespace
from collections.abc import Callable
from typing import Any, cast

import proxy
from proxy.common.flag import FlagParser
from proxy.common.types import Descriptors, HostPort, Readables, SelectableEvents
from proxy.core.base import TcpUpstreamConnectionHandler
from proxy.core.connection import TcpServerConnection
from proxy.core.work.threaded import start_threaded_work
from proxy.http import HttpProtocolHandler
from proxy.http.exception import HttpRequestRejected
from proxy.http.parser import HttpParser
from proxy.http.proxy import HttpProxyBasePlugin, HttpProxyPlugin
from proxy.http.responses import PROXY_TUNNEL_ESTABLISHED_RESPONSE_PKT

from claude_flow.execution.hosts import PLAIN_PORT, HostList, admitted, canonical

LookUp = Callable[[str, int], list[str]]
Told = Callable[[str, int, str], None]
"""Hears of a refusal: the host and the port that were asked for, and why it was."""

# Each takes six descriptors, and a process may have 1,024 unless somebody says otherwise.
_CONNECTIONS = 128
# The library looks 40 times a second whether a connection has been silent for too long. For us
# none ever is: a model may think for minutes. The watch over the attempt ends what hangs.
_LOOK_SECONDS = 5.0
_SILENCE_SECONDS = 10 * 365 * 24 * 3600
_KEEPALIVE_SECONDS = 60
_CONNECT_SECONDS = 20.0
# Pieces (of up to 128 KiB) that one side may be ahead of the other.
_PIECES_AHEAD = 16
_FORBIDDEN = 403
_BAD_GATEWAY = 502


def addresses_of(host: str, port: int) -> list[str]:
    """A host's addresses, the best first. Raises OSError, and ValueError for what is no name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Gateway:
    """Lets through what is in ``hosts``; ``told`` hears of what is not, in any thread.

    ``look_up`` is what ``addresses_of`` is.
    """

    def __init__(self, hosts: HostList, told: Told, look_up: LookUp = addresses_of) -> None:
        self.hosts = hosts
        self.told = told
        self.look_up = look_up
        self.places = threading.BoundedSemaphore(_CONNECTIONS)
        with tempfile.TemporaryDirectory(prefix="gateway-") as unused:
            self._flags = FlagParser.initialize(
                ["--data-dir", unused, "--cache-dir", unused],
                plugins=[_Gate],
                work_klass=_Connection,
                threaded=True,
                timeout=_SILENCE_SECONDS,
            )
        self._flags.gateway = self
        # The library's log would hold what clients send, with their secrets.
        logging.getLogger(proxy.__name__).setLevel(logging.CRITICAL + 1)

    def open(self, channel: socket.socket) -> None:
        """Serve, in a thread, whoever comes to the socket that is handed in over ``channel``.

        If that closes without one, nobody will come.
        """
        threading.Thread(target=self._serve, args=(channel,), daemon=True).start()

    def _serve(self, channel: socket.socket) -> None:
        with channel:
            _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        for descriptor in descriptors:
            with socket.socket(fileno=descriptor) as listener:
                while True:
                    self._accept(listener)

    def _accept(self, listener: socket.socket) -> None:
        self.places.acquire()
        connection, address = listener.accept()
        _without_delay(connection)
        start_threaded_work(self._flags, connection, address)


class _PatientSelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else max(timeout, _LOOK_SECONDS))


class _Connection(HttpProtocolHandler):
    """One connection from inside."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.selector = _PatientSelector()

    async def get_events(self) -> SelectableEvents:
        events = await super().get_events()
        client = self.work.connection.fileno()
        if client in events and self._is_ahead():
            events[client] &= ~selectors.EVENT_READ
        return {descriptor: wanted for descriptor, wanted in events.items() if wanted}

    def _is_ahead(self) -> bool:
        if not isinstance(self.plugin, HttpProxyPlugin):
            return False
        gates = (gate for gate in self.plugin.plugins.values() if isinstance(gate, _Gate))
        return any(g.upstream and len(g.upstream.buffer) > _PIECES_AHEAD for g in gates)

    def shutdown(self) -> None:
        try:
            super().shutdown()
        finally:
            _gateway(self.flags).places.release()


class _Upstream(TcpServerConnection):
    """A connection to a server; one that fails is closed at once."""

    def connect(self, addr: HostPort | None = None, source_address: HostPort | None = None) -> None:
        self._conn = socket.create_connection(addr or self.addr, _CONNECT_SECONDS, source_address)
        self._conn.settimeout(0)
        self.closed = False


class _Gate(TcpUpstreamConnectionHandler, HttpProxyBasePlugin):
    """Judges what a connection asks for, and connects to exactly what was judged."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_tunnel = False
        self._has_ended = False

    def before_upstream_connection(self, request: HttpParser) -> HttpParser | None:
        """Connect, or raise HttpRequestRejected; None, for the library is not to."""
        host = (request.host or b"").decode("ascii", errors="replace")
        port = request.port or 0
        self._is_tunnel = request.is_https_tunnel
        gateway = _gateway(self.flags)
        entries = gateway.hosts.naming(host, port, is_tunnel=self._is_tunnel)
        if not entries:
            raise self._refusal(host, port, "not in execution.network_hosts")
        try:
            addresses = gateway.look_up(canonical(host), port)
        except (OSError, ValueError) as error:  # or no name that could be looked up
            raise _failure(host, port, error) from error
        judged = admitted(entries, addresses)
        if not judged:
            why = f"its address {', '.join(addresses)} is none that execution.network_hosts allows"
            raise self._refusal(host, port, why)
        self._connect(host, port, judged)
        return None

    def _connect(self, host: str, port: int, addresses: list[str]) -> None:
        failure: OSError = OSError(errno.EHOSTUNREACH, "it has no address")
        for address in addresses:
            upstream = _Upstream(address, port)
            try:
                upstream.connect()
            except OSError as error:
                failure = error
            else:
                _without_delay(upstream.connection)
                _keep_alive(upstream.connection)
                self.upstream = upstream
                return
        raise _failure(host, port, failure) from failure

    def _refusal(self, host: str, port: int, why: str) -> HttpRequestRejected:
        _gateway(self.flags).told(host, port, why)
        return _rejected(_FORBIDDEN, b"Forbidden by claude_flow", host, port, why)

    def handle_client_request(self, request: HttpParser) -> HttpParser | None:
        """Pass the request on, or say that the tunnel stands."""
        if self.upstream is None:
            return None
        if self._is_tunnel:
            self.client.queue(PROXY_TUNNEL_ESTABLISHED_RESPONSE_PKT)
            return request
        # One request a connection: the next one may be for another host. And the host that
        # was judged is the one that the server is told.
        request.del_headers([b"proxy-authorization", b"proxy-connection", b"keep-alive"])
        port = b"" if request.port == PLAIN_PORT else b":%d" % (request.port or 0)
        request.add_headers([(b"Host", (request.host or b"") + port), (b"Connection", b"close")])
        self.upstream.queue(memoryview(request.build()))
        return request

    def handle_client_data(self, raw: memoryview) -> memoryview | None:
        """Pass on what comes after the request; only in a tunnel there may be such."""
        if not self._is_tunnel or self.upstream is None:
            return None
        self.upstream.queue(raw)
        return raw

    def handle_upstream_data(self, raw: memoryview) -> None:
        """Pass on what the server says."""
        self.client.queue(raw)

    async def get_descriptors(self) -> Descriptors:
        reads, writes = await super().get_descriptors()
        is_ahead = len(self.client.buffer) > _PIECES_AHEAD
        return ([] if self._has_ended or is_ahead else reads), writes

    async def read_from_descriptors(self, r: Readables) -> bool:
        self._has_ended = await super().read_from_descriptors(r)
        return self._has_ended

    def on_upstream_connection_close(self) -> None:
        """Close the server's side, once the client's is closed."""
        if self.upstream is not None:
            self.upstream.close()

    def on_access_log(self, context: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002 - the library's
        """Nothing: it would have the addresses of pages, and what people put into them."""
        return None


def _gateway(flags: Namespace) -> Gateway:
    return cast("Gateway", flags.gateway)


def _failure(host: str, port: int, error: Exception) -> HttpRequestRejected:
    why = getattr(error, "strerror", None) or str(error)
    return _rejected(_BAD_GATEWAY, b"Bad Gateway", host, port, why)


def _rejected(status: int, reason: bytes, host: str, port: int, why: str) -> HttpRequestRejected:
    text = f"claude_flow: no connection to {host}:{port}: {why}\n"
    headers = {b"Content-Type": b"text/plain; charset=utf-8"}
    return HttpRequestRejected(status, reason, headers, text.encode())


def _without_delay(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_SECONDS)
