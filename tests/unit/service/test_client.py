from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from claude_flow.errors import ServiceError, UsageError
from claude_flow.service.client import DaemonClient, DaemonUnreachableError


class Daemon(ThreadingHTTPServer):
    """Answers every request with ``status`` and ``body`` and remembers what was asked."""

    status = 200
    body: bytes = b"{}"
    location: str | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, str | None]] = []

    @property
    def client(self) -> DaemonClient:
        return DaemonClient(f"127.0.0.1:{self.server_port}")

    def answers(self, status: int, body: Any) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()


class _Handler(BaseHTTPRequestHandler):
    server: Daemon

    def _answer(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization")))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_POST = _answer  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        pass


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("code", "status"), [(200, "pass"), (200, "warn"), (503, "fail")])
def test_health_is_the_daemons_own_word(daemon: Daemon, code: int, status: str) -> None:
    daemon.answers(code, {"status": status, "version": "1"})
    assert daemon.client.health()["status"] == status


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"status": "great"}', b"\xff"])
def test_another_program_at_the_port_is_told_apart(daemon: Daemon, body: bytes) -> None:
    daemon.answers(200, body)
    with pytest.raises(DaemonUnreachableError, match="is not claude-flow") as got:
        daemon.client.health()
    assert not got.value.is_refused


def test_a_redirect_is_not_followed(daemon: Daemon) -> None:
    daemon.answers(302, {"status": "pass"})
    daemon.location = f"http://127.0.0.1:{daemon.server_port}/elsewhere"
    daemon.client.health()
    assert [path for _, path, _ in daemon.asked] == ["/health"]


def test_no_proxy_is_asked(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    daemon.answers(200, {"status": "pass"})
    assert daemon.client.health()["status"] == "pass"


def test_nothing_listening_is_refused() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(DaemonUnreachableError, match="Connection refused") as got:
            DaemonClient(f"127.0.0.1:{port}").health()
    assert got.value.is_refused
    assert "claude-flowctl start" in (got.value.hint or "")


def test_a_silent_listener_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(DaemonUnreachableError, match="timed out") as got:
            DaemonClient(f"127.0.0.1:{port}", timeout_seconds=0.1).health()
    assert not got.value.is_refused


@pytest.mark.parametrize("address", ["192.0.2.1:80", "example.org:80", "127.0.0.1", "127.0.0.1:x"])
def test_only_loopback_is_spoken_to(address: str) -> None:
    with pytest.raises(ServiceError, match="not a loopback address"):
        DaemonClient(address)


def test_ipv6_loopback_is_fine() -> None:
    assert DaemonClient("[::1]:8787").address == "[::1]:8787"


def test_runs_are_asked_for_as_the_contract_says(daemon: Daemon) -> None:
    daemon.answers(200, {"runs": [{"id": "a"}]})
    assert daemon.client.runs(state="queued,running", limit=3) == [{"id": "a"}]
    assert daemon.client.runs() == [{"id": "a"}]
    assert [path for _, path, _ in daemon.asked] == [
        "/api/v1/runs?state=queued%2Crunning&limit=3",
        "/api/v1/runs",
    ]


def test_only_changes_carry_the_token(daemon: Daemon) -> None:
    daemon.answers(202, {"id": "b"})
    daemon.client.run("a/../b")
    daemon.client.cancel("a", token="secret")
    assert daemon.client.retry("a", token="secret") == {"id": "b"}
    assert daemon.asked == [
        ("GET", "/api/v1/runs/a%2F..%2Fb", None),
        ("POST", "/api/v1/runs/a/cancel", "Bearer secret"),
        ("POST", "/api/v1/runs/a/retry", "Bearer secret"),
    ]


def test_errors_are_told_in_the_daemons_words(daemon: Daemon) -> None:
    daemon.answers(404, {"error": {"code": "not_found", "message": "there is no run 'a'"}})
    with pytest.raises(UsageError, match="there is no run 'a'"):
        daemon.client.run("a")
    daemon.answers(409, {"error": {"code": "conflict", "message": "run a has already ended"}})
    with pytest.raises(ServiceError, match="already ended"):
        daemon.client.cancel("a", token="t")
    daemon.answers(500, b"oops")
    with pytest.raises(ServiceError, match="HTTP 500"):
        daemon.client.run("a")
