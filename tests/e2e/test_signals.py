"""What a service manager sees and sends: readiness, watchdog, reload, stop."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claude_flow.testing.daemon_process import until
from claude_flow.testing.installation import Installation

GREET = "Path('greeting.txt').write_text('Hello!\\n')"


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.messages: list[str] = []
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    @property
    def environ(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self._path), "WATCHDOG_USEC": "30000000"}

    def count(self, word: str) -> int:
        return sum(word in message.splitlines() for message in self.messages)

    def states(self) -> list[str]:
        """The changes of state, without pings."""
        words = [line.partition("=")[0] for text in self.messages for line in text.splitlines()]
        return [word for word in words if word in {"READY", "RELOADING", "STOPPING"}]

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self._path))
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while message := self._socket.recv(65536):
            self.messages.append(message.decode())


@pytest.fixture
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    manager = Manager(tmp_path_factory.mktemp("notify") / "socket")
    yield manager
    manager.close()


def test_systemd_hears_of_start_reload_pings_and_stop(
    installation: Installation, manager: Manager
) -> None:
    installation.add_repository("acme/one")
    daemon = installation.start(environ=manager.environ)
    until(lambda: manager.count("READY=1"), daemon.last_words)
    assert daemon.ask("/health/live").status == 200
    assert any("STATUS=watching 1 repositories" in text for text in manager.messages)
    pings = manager.count("WATCHDOG=1")
    until(lambda: manager.count("WATCHDOG=1") >= pings + 2, "pings")

    daemon.signal(signal.SIGHUP)
    until(lambda: manager.count("READY=1") == 2, daemon.last_words)
    (reload,) = [text for text in manager.messages if "RELOADING=1" in text]
    (moment,) = [line for line in reload.splitlines() if line.startswith("MONOTONIC_USEC=")]
    assert int(moment.partition("=")[2]) > 0

    assert daemon.stop() == 0
    assert manager.states() == ["READY", "RELOADING", "READY", "STOPPING"]


def test_nothing_says_ready_before_the_configuration_is_known_to_work(
    installation: Installation, manager: Manager
) -> None:
    installation.add_repository("acme/one")
    installation.configure(claude_flow={"command": ["/opt/nobody/agent"]})
    assert installation.start(environ=manager.environ).wait() == 78
    assert "READY" not in manager.states()


def test_a_reload_takes_over_repositories_and_interval(installation: Installation) -> None:
    installation.add_repository("acme/one")
    installation.configure(github={"poll_interval_seconds": 3600})
    daemon = installation.start()
    until(lambda: daemon.ask("/health/ready").status == 200, daemon.last_words)

    issue = installation.issue(installation.add_repository("acme/two"), GREET)
    installation.configure(github={"poll_interval_seconds": 0.5})
    daemon.signal(signal.SIGHUP)
    assert installation.ended(daemon, issue)["reason"] == "pull_request_opened"
    assert "github.poll_interval_seconds" in daemon.log
    assert "github.repositories" in daemon.log
    later = installation.issue("acme/one", GREET)
    assert installation.ended(daemon, later)["reason"] == "pull_request_opened"

    installation.configure(github={"repositories": ["acme/one"]})
    daemon.signal(signal.SIGHUP)
    until(lambda: daemon.log.count("configuration reloaded") == 2, daemon.last_words)
    unseen = installation.issue("acme/two", GREET)
    newest = installation.issue("acme/one", GREET)
    installation.ended(daemon, newest)
    assert daemon.runs(unseen) == []


def test_a_reload_says_what_only_a_restart_changes(installation: Installation) -> None:
    installation.add_repository("acme/one")
    daemon = installation.start()
    daemon.address()
    installation.configure(service={"workspace_root": str(installation.root / "elsewhere")})
    daemon.signal(signal.SIGHUP)
    until(lambda: "only after a restart" in daemon.log, daemon.last_words)
    assert "service.workspace_root" in daemon.log.rpartition("only after a restart")[2]


def test_an_invalid_reload_leaves_the_last_good_one_in_force(
    installation: Installation, manager: Manager
) -> None:
    name = installation.add_repository("acme/one")
    daemon = installation.start(environ=manager.environ)
    until(lambda: manager.count("READY=1"), daemon.last_words)
    good = installation.config.read_text(encoding="utf-8")
    installation.configure(service={"max_concurrent_runs": "many"})
    daemon.signal(signal.SIGHUP)
    until(lambda: manager.count("READY=1") == 2, daemon.last_words)

    assert "service.max_concurrent_runs" in daemon.log
    assert "Traceback" not in daemon.log
    health = daemon.ask("/health")
    assert (health.status, health.json()["status"]) == (200, "warn")
    assert health.json()["checks"]["configuration:reload"][0]["status"] == "warn"
    issue = installation.issue(name, GREET)
    assert installation.ended(daemon, issue)["reason"] == "pull_request_opened"

    installation.config.write_text(good, encoding="utf-8")
    daemon.signal(signal.SIGHUP)
    until(lambda: daemon.ask("/health").json()["status"] == "pass", daemon.last_words)
    assert daemon.stop() == 0


def test_a_hung_github_is_a_warning_and_the_pings_go_on(
    installation: Installation, manager: Manager
) -> None:
    name = installation.add_repository("acme/one")
    daemon = installation.start(environ=manager.environ)
    until(lambda: daemon.ask("/health").json()["status"] == "pass", daemon.last_words)
    installation.world.server.faults.delay(40, path="/repos/")
    pings = manager.count("WATCHDOG=1")
    until(lambda: daemon.ask("/health").json()["status"] == "warn", daemon.last_words)

    assert manager.count("WATCHDOG=1") > pings + 2
    assert daemon.ask("/health/live").status == 200
    assert "no answer in time" in daemon.ask("/health").json()["checks"]["github:api"][0]["output"]
    issue = installation.issue(name, GREET)
    assert installation.ended(daemon, issue)["reason"] == "pull_request_opened"
    assert daemon.ask("/health").json()["status"] == "pass"


def test_the_status_file_tells_what_http_tells(installation: Installation) -> None:
    installation.add_repository("acme/one")
    daemon = installation.start()
    file = installation.state / "status.json"

    def healthy() -> dict[str, Any] | None:
        status: dict[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
        return status if status.get("health", {}).get("status") == "pass" else None

    status = until(healthy, daemon.last_words)
    assert status is not None
    assert status["verdict"] == "healthy"
    told = daemon.ask("/health").json()
    assert status["health"]["version"] == told["version"]
    assert status["health"]["checks"].keys() == told["checks"].keys()
    assert daemon.address().endswith(status["health"]["address"])
