"""The proxy of a sandbox with a list of hosts, spoken to over real sockets."""

from __future__ import annotations

import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field

import pytest

from claude_flow.execution.forwarding import ForwardProxy
from claude_flow.execution.gateway import Gateway
from claude_flow.execution.hosts import HostList

SOON_SECONDS = 20.0


@dataclass
class Inside:
    """What a program in the sandbox sees of the proxy; ``refused`` is what the proxy told."""

    address: tuple[str, int]
    refused: list[tuple[str, int]] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, SOON_SECONDS)

    def tunnel(self, target: str) -> socket.socket:
        way = self.connect()
        way.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        answer = way.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        return way

    def ask(self, text: str) -> str:
        """All that is answered until the connection ends."""
        with self.connect() as way:
            way.sendall(text.replace("\n", "\r\n").encode())
            return everything(way).decode()


def everything(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def send_and_close(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)
    connection.close()


Open = Callable[..., Inside]


@pytest.fixture
def open_gateway() -> Iterator[Open]:
    """Opens proxies; ``names`` gives the addresses of names."""
    with ExitStack() as stack:

        def open_it(
            hosts: Sequence[str],
            names: dict[str, list[str]] | None = None,
            forward: ForwardProxy | None = None,
        ) -> Inside:
            def look_up(host: str, _port: int) -> list[str]:
                inside.looked_up.append(host)
                if names is None or host not in names:
                    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
                return names[host]

            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            inside = Inside(listener.getsockname())
            gateway = Gateway(
                HostList.of(hosts),
                lambda host, port, _why: inside.refused.append((host, port)),
                forward=forward,
                look_up=look_up,
            )
            ours, theirs = socket.socketpair()
            gateway.open(ours)
            with theirs:
                socket.send_fds(theirs, [b"."], [listener.fileno()])
            return inside

        yield open_it


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SOON_SECONDS)
        yield listening


def port_of(server: socket.socket) -> int:
    port: int = server.getsockname()[1]
    return port


def accepted(server: socket.socket) -> socket.socket:
    connection, _ = server.accept()
    connection.settimeout(SOON_SECONDS)
    return connection


LOCAL = {"127.0.0.1": ["127.0.0.1"]}


def test_bytes_go_both_ways_as_they_are(open_gateway: Open, server: socket.socket) -> None:
    port = port_of(server)
    inside = open_gateway([f"127.0.0.1:{port}"], LOCAL)
    with inside.tunnel(f"127.0.0.1:{port}") as way, accepted(server) as far:
        sent = bytes(range(256)) * 40_000
        thread = threading.Thread(target=way.sendall, args=(sent,))
        thread.start()
        got = bytearray()
        while len(got) < len(sent):
            got += far.recv(1 << 20)
        thread.join()
        assert bytes(got) == sent
        thread = threading.Thread(target=send_and_close, args=(far, sent))
        thread.start()
        assert everything(way) == sent
        thread.join()
    assert inside.refused == []


def test_who_does_not_read_is_waited_for(open_gateway: Open, server: socket.socket) -> None:
    port = port_of(server)
    inside = open_gateway([f"127.0.0.1:{port}"], LOCAL)
    with inside.tunnel(f"127.0.0.1:{port}") as way, accepted(server) as far:
        for writer in (far, way):
            writer.settimeout(1)
            sent = 0
            # It takes what lies in buffers, and not all that there is.
            with suppress(TimeoutError):
                while sent < 200_000_000:
                    sent += writer.send(bytes(1 << 20))
            assert sent < 50_000_000


def test_silence_ends_no_connection(open_gateway: Open, server: socket.socket) -> None:
    port = port_of(server)
    inside = open_gateway([f"127.0.0.1:{port}"], LOCAL)
    with inside.tunnel(f"127.0.0.1:{port}") as way, accepted(server) as far:
        time.sleep(12)  # the library's own limit is 10 seconds
        far.sendall(b"at last")
        assert way.recv(100) == b"at last"


def test_a_plain_request_is_for_the_host_that_was_judged(
    open_gateway: Open, server: socket.socket
) -> None:
    port = port_of(server)
    inside = open_gateway([f"127.0.0.1:{port}"], LOCAL)
    with inside.connect() as way:
        way.sendall(
            f"GET http://127.0.0.1:{port}/a?b HTTP/1.1\r\nHost: other.test\r\n"
            "Proxy-Authorization: Basic eDp5\r\nX-Own: kept\r\n\r\n".encode()
        )
        with accepted(server) as far:
            lines = far.recv(4096).decode().split("\r\n")
            assert lines[0] == "GET /a?b HTTP/1.1"
            assert f"Host: 127.0.0.1:{port}" in lines
            assert "X-Own: kept" in lines
            assert "Connection: close" in lines
            assert not any("other.test" in line or "eDp5" in line for line in lines)
            # What else comes over the connection would be for nobody knows whom.
            way.sendall(b"GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n")
            far.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            far.settimeout(0.5)
            with pytest.raises(TimeoutError):
                far.recv(1)
        assert everything(way).endswith(b"\r\n\r\nhi")


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["169.254.169.254"], ["10.0.0.1", "192.168.0.1"], ["::ffff:7f00:1"]],
)
def test_a_domain_that_leads_inside_is_refused(
    open_gateway: Open, server: socket.socket, addresses: list[str]
) -> None:
    port = port_of(server)
    inside = open_gateway([f"*.example.test:{port}"], {"a.example.test": addresses})
    answer = inside.ask(f"CONNECT a.example.test:{port} HTTP/1.1\n\n")
    assert answer.startswith("HTTP/1.1 403")
    assert addresses[0] in answer
    assert inside.refused == [("a.example.test", port)]


def test_it_connects_to_what_it_judged(open_gateway: Open, server: socket.socket) -> None:
    # Nobody answers at the first; and asked again, the name would lead elsewhere.
    port = port_of(server)
    names = {"localhost": ["::1", "127.0.0.1"]}
    inside = open_gateway([f"localhost:{port}"], names)
    asked = inside.looked_up
    with closing(inside.tunnel(f"localhost:{port}")), accepted(server):
        assert asked == ["localhost"]
        assert inside.refused == []


def test_what_cannot_be_reached_is_told_to_whoever_asked(open_gateway: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = port_of(gone)
    inside = open_gateway([f"127.0.0.1:{port}", "no-name.test"], LOCAL)
    assert "Connection refused" in inside.ask(f"CONNECT 127.0.0.1:{port} HTTP/1.1\n\n")
    answer = inside.ask("GET http://no-name.test/ HTTP/1.1\n\n")
    assert answer.startswith("HTTP/1.1 502")
    assert "Name or service not known" in answer
    assert inside.refused == []


@pytest.mark.parametrize(
    "words",
    [
        "nonsense\n\n",
        "GET / HTTP/1.1\nHost: 127.0.0.1\n\n",
        "GET ftp://127.0.0.1/ HTTP/1.1\n\n",
        "CONNECT \n\n",
        "CONNECT / HTTP/1.1\n\n",
        "CONNECT [::1 HTTP/1.1\n\n",
        "CONNECT 127.0.0.1:x HTTP/1.1\n\n",
        "GET http://user:pa:ss@127.0.0.1/ HTTP/1.1\n\n",
    ],
)
def test_what_is_no_request_reaches_nothing(open_gateway: Open, words: str) -> None:
    inside = open_gateway(["127.0.0.1"], LOCAL)
    answer = inside.ask(words)
    assert not answer or answer.startswith(("HTTP/1.1 400", "HTTP/1.1 403"))


def test_more_connections_than_there_are_places_wait(
    open_gateway: Open, server: socket.socket
) -> None:
    port = port_of(server)
    inside = open_gateway([f"127.0.0.1:{port}"], LOCAL)
    with ExitStack() as stack:
        waiting = [stack.enter_context(inside.connect()) for _ in range(140)]
        with inside.connect() as late:
            late.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
            late.settimeout(1)
            with pytest.raises(TimeoutError):
                late.recv(1)
            for connection in waiting:
                connection.close()
            late.settimeout(SOON_SECONDS)
            assert late.recv(4096).startswith(b"HTTP/1.1 200")


# --- through the host's own proxy ---------------------------------------------------------------


def forward_to(server: socket.socket, direct: str = "") -> ForwardProxy:
    address = f"http://us%40er:word@127.0.0.1:{port_of(server)}"
    return ForwardProxy(plain=address, tunnel=address, direct=direct)


def test_a_tunnel_leads_through_the_hosts_own_proxy(
    open_gateway: Open, server: socket.socket
) -> None:
    inside = open_gateway(["*.example.test"], LOCAL, forward_to(server))
    with inside.connect() as way:
        way.sendall(b"CONNECT a.example.test:443 HTTP/1.1\r\nX-Own: kept inside\r\n\r\n")
        with accepted(server) as far:
            assert far.recv(4096).decode().split("\r\n") == [
                "CONNECT a.example.test:443 HTTP/1.1",
                "Host: a.example.test:443",
                f"Proxy-Authorization: Basic {b64encode(b'us@er:word').decode()}",
                "",
                "",
            ]
            far.sendall(b"HTTP/1.1 200 Come in\r\n\r\n")
            assert way.recv(4096) == b"HTTP/1.1 200 Come in\r\n\r\n"
            way.sendall(b"hello")
            assert far.recv(100) == b"hello"
    # The name was that proxy's to look up.
    assert inside.looked_up == ["127.0.0.1"]


def test_a_plain_request_leads_through_it(open_gateway: Open, server: socket.socket) -> None:
    inside = open_gateway(["a.example.test"], LOCAL, forward_to(server))
    with inside.connect() as way:
        way.sendall(
            b"GET http://a.example.test/x?y HTTP/1.1\r\nHost: other.test\r\n"
            b"Proxy-Authorization: Basic of the agent\r\n\r\n"
        )
        with accepted(server) as far:
            lines = far.recv(4096).decode().split("\r\n")
            assert lines[0] == "GET http://a.example.test:80/x?y HTTP/1.1"
            assert "Host: a.example.test" in lines
            assert f"Proxy-Authorization: Basic {b64encode(b'us@er:word').decode()}" in lines
            assert "Basic of the agent" not in str(lines)


@pytest.mark.parametrize("target", ["b.example.test:443", "169.254.169.254:443", "10.0.0.1:443"])
def test_it_is_asked_for_nothing_that_is_not_listed(
    open_gateway: Open, server: socket.socket, target: str
) -> None:
    names = {"169.254.169.254": ["169.254.169.254"]}
    inside = open_gateway(["a.example.test", "169.254.169.254"], names, forward_to(server))
    answer = inside.ask(f"CONNECT {target} HTTP/1.1\n\n")
    assert answer.startswith("HTTP/1.1 403")
    assert "us@er" not in answer


def test_what_is_reached_without_it_is_judged_here(
    open_gateway: Open, server: socket.socket
) -> None:
    port = port_of(server)
    hosts = [f"127.0.0.1:{port}", f"*.corp.test:{port}"]
    names = LOCAL | {"a.corp.test": ["127.0.0.1"]}
    inside = open_gateway(
        hosts, names, ForwardProxy(tunnel="http://127.0.0.1:1", direct=".corp.test")
    )
    # This host's loopback is nothing that another proxy could reach.
    with closing(inside.tunnel(f"127.0.0.1:{port}")), accepted(server):
        pass
    assert inside.ask(f"CONNECT a.corp.test:{port} HTTP/1.1\n\n").startswith("HTTP/1.1 403")


def test_where_it_is_away_or_no_http_that_is_told_without_its_password(open_gateway: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        away = forward_to(gone)
    for forward in (away, ForwardProxy(tunnel="socks5://me:word@127.0.0.1:1")):
        inside = open_gateway(["a.example.test"], LOCAL, forward)
        answer = inside.ask("CONNECT a.example.test:443 HTTP/1.1\n\n")
        assert answer.startswith("HTTP/1.1 502")
        assert "word" not in answer
