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
import time
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

from claude_flow.execution.forwarding import ForwardProxy, ProxyAddress
from claude_flow.execution.hosts import (
    PLAIN_PORT,
    HostEntry,
    HostList,
    admitted,
    canonical,
    is_address,
)

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
_PAUSE_SECONDS = 0.1
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

    ``forward`` is the proxy through which this host goes out, ``look_up`` what ``addresses_of`` is.
    """

    def __init__(
        self,
        hosts: HostList,
        told: Told,
        *,
        forward: ForwardProxy | None = None,
        look_up: LookUp = addresses_of,
    ) -> None:
        self.hosts = hosts
        self.told = told
        self.forward = forward or ForwardProxy()
        self.look_up = look_up
        self.places = threading.BoundedSemaphore(_CONNECTIONS)
        # The library's log would hold what clients send, with their secrets.
        logging.getLogger(proxy.__name__).setLevel(logging.CRITICAL + 1)
        with tempfile.TemporaryDirectory(prefix="gateway-") as unused:
            self._flags = FlagParser.initialize(
                ["--data-dir", unused, "--cache-dir", unused],
                plugins=[_Gate],
                work_klass=_Connection,
                threaded=True,
                timeout=_SILENCE_SECONDS,
            )
        self._flags.gateway = self

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
        try:
            connection, address = listener.accept()
        except OSError:  # gone already, or too many files are open: the next one may fare better
            self.places.release()
            time.sleep(_PAUSE_SECONDS)
            return
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
        return any(g.upstream and len(g.upstream.buffer) > _PIECES_AHEAD for g in self._gates())

    def _gates(self) -> list[_Gate]:
        if not isinstance(self.plugin, HttpProxyPlugin):
            return []
        return [gate for gate in self.plugin.plugins.values() if isinstance(gate, _Gate)]

    def shutdown(self) -> None:
        try:
            super().shutdown()
        finally:
            # The library leaves the server's side open where the client's is broken.
            for gate in self._gates():
                gate.on_upstream_connection_close()
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
        self._forward: ProxyAddress | None = None

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
            if not any(entry.is_loopback for entry in entries):
                self._forward = gateway.forward.towards(canonical(host), is_tunnel=self._is_tunnel)
            # A name that another proxy is asked for is looked up by that one alone.
            if self._forward is None or is_address(canonical(host)):
                addresses = self._judged(host, port, entries)
            if self._forward is not None:
                port_there = self._forward.port
                self._connect(gateway.look_up(self._forward.host, port_there), port_there)
            else:
                self._connect(addresses, port)
        except (OSError, ValueError) as error:  # or no name that could be looked up
            raise _failure(host, port, error) from error
        return None

    def _judged(self, host: str, port: int, entries: tuple[HostEntry, ...]) -> list[str]:
        """Where the host may be. Raises HttpRequestRejected if that is nowhere."""
        addresses = _gateway(self.flags).look_up(canonical(host), port)
        judged = admitted(entries, addresses)
        if not judged:
            why = f"its address {', '.join(addresses)} is none that execution.network_hosts allows"
            raise self._refusal(host, port, why)
        return judged

    def _connect(self, addresses: list[str], port: int) -> None:
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
        raise failure

    def _refusal(self, host: str, port: int, why: str) -> HttpRequestRejected:
        _gateway(self.flags).told(host, port, why)
        return _rejected(_FORBIDDEN, b"Forbidden by claude_flow", host, port, why)

    def handle_client_request(self, request: HttpParser) -> HttpParser | None:
        """Pass the request on, or say that the tunnel stands."""
        if self.upstream is None:
            return None
        name = (request.host or b"") + b":%d" % (request.port or 0)
        if self._is_tunnel and self._forward is not None:
            # What it answers is the answer, and then the tunnel.
            lines = [b"CONNECT %s HTTP/1.1" % name, b"Host: " + name, *_lines(self._forward)]
            self.upstream.queue(memoryview(b"\r\n".join([*lines, b"", b""])))
            return request
        if self._is_tunnel:
            self.client.queue(PROXY_TUNNEL_ESTABLISHED_RESPONSE_PKT)
            return request
        # One request a connection: the next one may be for another host. And the host that
        # was judged is the one that the server is told.
        request.del_headers([b"proxy-authorization", b"proxy-connection", b"keep-alive"])
        name = name.removesuffix(b":%d" % PLAIN_PORT)
        request.add_headers([(b"Host", name), (b"Connection", b"close")])
        if self._forward is not None and self._forward.authorization is not None:
            authorization = self._forward.authorization.encode()
            request.add_headers([(b"Proxy-Authorization", authorization)])
        self.upstream.queue(memoryview(request.build(for_proxy=self._forward is not None)))
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


def _lines(forward: ProxyAddress) -> list[bytes]:
    if forward.authorization is None:
        return []
    return [b"Proxy-Authorization: " + forward.authorization.encode()]


def _without_delay(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_SECONDS)
