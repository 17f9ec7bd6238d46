"""What an agent reaches whose network is a list of hosts, tried by agents of the real daemon."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from claude_flow.testing.daemon_process import DaemonProcess
from claude_flow.testing.installation import Installation
from tests.e2e.test_sandbox import doctors_word

# Each asks for something and says what came of it.
ASK = """
import socket, urllib.error, urllib.request
def proxy():
    return socket.create_connection(("127.0.0.1", 61080), 10)
def get(url):
    try:
        return urllib.request.urlopen(url, timeout=20).read().decode()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    except OSError as error:
        return f"{type(error).__name__}: {error}"
def tunnel(target, words=b""):
    with proxy() as way:
        way.sendall(f"CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\n".encode())
        answer = way.recv(65536)
        if not answer.startswith(b"HTTP/1.1 200"):
            return answer.decode()
        way.sendall(words)
        return way.recv(65536).decode()
def connect(host, port):
    try:
        socket.create_connection((host, port), 10).close()
        return "connected"
    except OSError as error:
        return type(error).__name__
seen = {}
"""
KEEP = "\nPath('seen.json').write_text(json.dumps(seen))\n"


class Page(BaseHTTPRequestHandler):
    """Answers with the host that it was asked as, and the path."""

    def do_GET(self) -> None:
        body = f"{self.headers['Host']} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def pages() -> Iterator[int]:
    """The port of a web server on this host's loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def other() -> Iterator[int]:
    """The port of a server that no list names."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def host(installation: Installation, pages: int) -> Installation:
    """An installation whose agents reach that web server and nothing else."""
    installation.settings["execution"] = {
        "sandbox": "required",
        "network": "hosts",
        "network_hosts": [f"127.0.0.1:{pages}", "no-such-host.invalid"],
    }
    installation.configure()
    installation.add_repository("acme/curious")
    return installation


def found_by(host: Installation, daemon: DaemonProcess, work: str) -> dict[str, Any]:
    issue = host.issue("acme/curious", ASK + work + KEEP)
    run = host.ended(daemon, issue)
    assert run["reason"] == "pull_request_opened", daemon.last_words()
    files = host.world.github.files(issue.repository, f"claude-flow/issue-{issue.number}")
    found: dict[str, Any] = json.loads(files["seen.json"])
    return found


def events(host: Installation) -> list[dict[str, Any]]:
    (path,) = (host.state / "runs").glob("*/1/events.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_listed_host_is_reached_in_both_ways(host: Installation, pages: int) -> None:
    work = f"""
seen["plain"] = get("http://127.0.0.1:{pages}/a?b=c")
seen["tunnel"] = tunnel("127.0.0.1:{pages}", b"GET /d HTTP/1.0\\r\\nHost: it\\r\\n\\r\\n")
"""
    found = found_by(host, host.start(), work)
    assert found["plain"] == f"127.0.0.1:{pages} /a?b=c"
    assert found["tunnel"].startswith("HTTP/1.0 200")
    assert "network hosts" in host.log.read_text()


def test_nothing_else_is_reached(host: Installation, pages: int, other: int) -> None:
    work = f"""
seen["past the proxy"] = connect("127.0.0.1", {pages})
seen["an address"] = connect("192.0.2.1", 443)
seen["metadata"] = connect("169.254.169.254", 80)
seen["a name"] = connect("example.org", 443)
for target in ("127.0.0.1:{other}", "localhost:{pages}", "example.org:443", "192.0.2.1:443",
               "[::1]:{pages}", "2130706433:{pages}", "127.0.0.1.:{other}", "0.0.0.0:{pages}",
               "no-such-host.invalid:22", "no-such-host.invalid:80"):
    seen[target] = tunnel(target)
seen["plain"] = get("http://example.org/")
seen["plain, odd port"] = get("http://no-such-host.invalid:8080/")
"""
    found = found_by(host, host.start(), work)
    for name in ("past the proxy", "an address", "metadata", "a name"):
        assert found.pop(name) not in {"connected", ""}
    for answer in found.values():
        assert "403" in answer.splitlines()[0]
        assert "execution.network_hosts" in answer


def test_what_was_refused_is_told_once_for_each_host(host: Installation, other: int) -> None:
    work = f"""
for _ in range(3):
    seen["one"] = get("http://example.org/?secret=value")
    seen["two"] = tunnel("127.0.0.1:{other}")
"""
    found_by(host, host.start(), work)
    refused = [event for event in events(host) if event["kind"] == "host_refused"]
    assert [(event["host"], event["port"]) for event in refused] == [
        ("example.org", 80),
        ("127.0.0.1", other),
    ]
    log = host.log.read_text()
    assert log.count("example.org:80") == 1
    assert "execution.network_hosts" in log
    assert "secret=value" not in log


@pytest.mark.parametrize("entry", ["169.254.169.254", "[fe80::1]:80", "0.0.0.0", "[1:2]"])
def test_what_no_proxy_could_do_is_refused_at_the_start(host: Installation, entry: str) -> None:
    host.configure(execution={"network_hosts": ["example.org", entry]})
    for arguments in (["--check"], []):
        daemon = host.start(*arguments)
        assert daemon.wait() == 78
        assert "execution.network_hosts" in daemon.last_words()
        assert entry.strip("[]:80") in daemon.last_words()
    word = doctors_word(host, {})
    assert word["status"] == "fail"
    assert "execution.network_hosts" in word["text"]


@pytest.mark.parametrize("execution", [{"sandbox": "off"}, {"backend": "systemd"}])
def test_where_nothing_could_bound_it_a_list_is_refused(
    host: Installation, execution: dict[str, str]
) -> None:
    host.configure(execution=execution)
    daemon = host.start("--check")
    assert daemon.wait() == 78
    assert "execution.network is hosts, which needs the sandbox" in daemon.last_words()
    assert f"execution.{next(iter(execution))}" in daemon.last_words()


def test_a_proxy_of_the_services_is_gone_through_and_not_shown(host: Installation) -> None:
    host.configure(execution={"network_hosts": ["example.org"]})
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        asked: list[bytes] = []

        def answer() -> None:
            connection, _ = proxy.accept()
            with connection:
                asked.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                asked.append(connection.recv(4096))
                connection.sendall(b"from afar")

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"http://me:word-of-the-proxy@127.0.0.1:{proxy.getsockname()[1]}"
        daemon = host.start(environ={"HTTPS_PROXY": address, "NO_PROXY": "127.0.0.1"})
        work = """
seen["answer"] = tunnel("example.org:443", b"hello")
seen["environment"] = dict(os.environ)
"""
        found = found_by(host, daemon, work)
        thread.join()
    assert found["answer"] == "from afar"
    assert asked[0].startswith(b"CONNECT example.org:443 HTTP/1.1")
    assert asked[1] == b"hello"
    assert found["environment"]["HTTPS_PROXY"] == "http://127.0.0.1:61080"
    kept = [path for path in (host.state / "runs").rglob("*") if path.is_file()]
    texts = [json.dumps(found), host.log.read_text(), *(path.read_text() for path in kept)]
    assert not any("word-of-the-proxy" in text for text in texts)


def test_the_agents_own_loopback_needs_no_proxy(host: Installation) -> None:
    host.configure(execution={"network_hosts": []})
    work = """
from http.server import BaseHTTPRequestHandler, HTTPServer
import threading
class Own(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"own")
server = HTTPServer(("127.0.0.1", 0), Own)
threading.Thread(target=server.serve_forever, daemon=True).start()
seen["own"] = get(f"http://127.0.0.1:{server.server_port}/")
seen["names"] = sorted(name for name in os.environ if "proxy" in name.lower() or "DOOR" in name)
"""
    found = found_by(host, host.start(), work)
    assert found["own"] == "own"
    assert found["names"] == sorted(
        [
            *("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "NODE_USE_ENV_PROXY"),
            *("all_proxy", "http_proxy", "https_proxy", "no_proxy"),
        ]
    )
