"""What an operator gets wrong is said in one clear line that tells what to do."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from claude_flow.testing.daemon_process import until
from claude_flow.testing.installation import Installation

GREET = "Path('greeting.txt').write_text('Hello!\\n')"


@dataclass(frozen=True)
class Ended:
    """How a start ended."""

    code: int
    out: str
    err: str

    def assert_clear(self, code: int, *words: str) -> None:
        assert self.code == code, self.err
        assert "Traceback" not in self.err
        for word in words:
            assert word in self.err


def ended(installation: Installation, *arguments: str) -> Ended:
    """Start a daemon that is expected to end by itself."""
    given = arguments or ("--config", str(installation.config))
    done = subprocess.run(
        [sys.executable, "-m", "claude_flow.daemon.main", *given],
        env=installation.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def refusal(text: str) -> str:
    """The one line of a log that refuses."""
    (line,) = [line for line in text.splitlines() if line.startswith("claude-flow-service: ")]
    return line


@pytest.fixture
def host(installation: Installation) -> Installation:
    """One that would work."""
    installation.add_repository("acme/fine")
    return installation


def test_no_repositories(host: Installation) -> None:
    host.configure(github={"repositories": []})
    result = ended(host)
    result.assert_clear(78, "github.repositories", "no repository to watch", "owner/name")
    assert len(result.err.splitlines()) == 2  # how many faults, and the fault


def test_no_token(host: Installation) -> None:
    host.configure(github={"token_file": None})
    ended(host).assert_clear(78, "no credential for GitHub", "github.token_file")


def test_a_token_file_that_is_missing(host: Installation) -> None:
    host.token_file.unlink()
    ended(host).assert_clear(78, "github.token_file", str(host.token_file))


def test_every_fault_is_told_at_once_with_its_line(host: Installation) -> None:
    host.configure(
        github={"repositories": ["not a name"], "pol_interval_seconds": 3},
        service={"max_concurrent_runs": 0},
    )
    result = ended(host)
    result.assert_clear(78, "not a name", "poll_interval_seconds", "service.max_concurrent_runs")
    assert f"{host.config}:" in result.err


def test_a_malformed_file(host: Installation) -> None:
    host.config.write_text('{"github": {"repositories": [}}', encoding="utf-8")
    ended(host).assert_clear(78, f"{host.config}:1:")


def test_a_configuration_that_is_not_there(host: Installation) -> None:
    nowhere = host.root / "nowhere.json"
    ended(host, "--config", str(nowhere)).assert_clear(78, str(nowhere))


def test_check_says_what_start_would(host: Installation) -> None:
    fine = ended(host, "--config", str(host.config), "--check")
    assert (fine.code, fine.err) == (0, "")
    assert "valid" in fine.out
    host.configure(github={"repositories": []})
    ended(host, "--config", str(host.config), "--check").assert_clear(78, "github.repositories")
    assert not host.state.exists()


def test_wrong_usage(host: Installation) -> None:
    ended(host, "--nonsense").assert_clear(2, "--nonsense", "usage:")


def test_an_agent_that_is_not_installed(host: Installation) -> None:
    host.configure(claude_flow={"command": ["/opt/nobody/agent"]})
    result = ended(host)
    result.assert_clear(78, "/opt/nobody/agent", "claude_flow.command")
    assert len(result.err.splitlines()) == 1


def test_a_state_directory_that_cannot_be_made(host: Installation) -> None:
    (host.root / "file").touch()
    host.configure(service={"state_directory": str(host.root / "file" / "state")})
    result = ended(host)
    result.assert_clear(78, str(host.root / "file" / "state"), "service.state_directory")
    assert len(result.err.splitlines()) == 1


def test_a_port_that_is_taken(host: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        host.configure(monitoring={"http_port": port})
        result = ended(host)
    result.assert_clear(1, str(port), "monitoring.http_port")
    assert refusal(result.err)


def test_a_variable_with_a_slip(host: Installation) -> None:
    host.environ["CLAUDE_FLOW_GITHUB_TOKN"] = "x"
    result = ended(host)
    result.assert_clear(78, "CLAUDE_FLOW_GITHUB_TOKN", "CLAUDE_FLOW_GITHUB_TOKEN")


def test_once_with_a_wrong_token_fails_in_one_line(host: Installation) -> None:
    host.world.github.revoke_token(host.world.token)
    result = ended(host, "--config", str(host.config), "--once")
    result.assert_clear(1)
    (told,) = [line for line in result.err.splitlines() if "401" in line]
    assert "set a new github.token" in told
    assert host.world.token not in result.err


def test_a_wrong_token_is_said_once_and_tried_until_it_is_right(host: Installation) -> None:
    issue = host.issue("acme/fine", GREET)
    host.world.github.revoke_token(host.world.token)
    daemon = host.start()
    until(lambda: len(host.world.server.requests) >= 4, daemon.last_words)

    assert daemon.ask("/health/ready").status == 503
    assert daemon.ask("/health/live").status == 200
    health = daemon.ask("/health").json()
    assert health["checks"]["github:api"][0]["status"] == "fail"
    assert len([line for line in daemon.log.splitlines() if "401" in line]) == 1

    host.world.github.restore_token(host.world.token)
    assert host.ended(daemon, issue)["reason"] == "pull_request_opened"
    assert daemon.ask("/health/ready").status == 200
    assert daemon.ask("/health").json()["status"] == "pass"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_github_out_of_reach_is_a_warning_that_waits(host: Installation) -> None:
    host.configure(github={"api_url": f"http://127.0.0.1:{free_port()}"})
    daemon = host.start()
    until(lambda: "cannot connect" in daemon.log, daemon.last_words)

    health = daemon.ask("/health")
    assert (health.status, health.json()["status"]) == (200, "warn")
    assert "tried again" in health.json()["checks"]["github:api"][0]["output"]
    assert daemon.ask("/health/ready").status == 503
    assert daemon.ask("/health/live").status == 200
    assert "github.api_url" in daemon.log
    assert "Traceback" not in daemon.log
    assert daemon.stop() == 0


def test_once_with_a_github_out_of_reach_fails(host: Installation) -> None:
    host.configure(github={"api_url": f"http://127.0.0.1:{free_port()}"})
    ended(host, "--config", str(host.config), "--once").assert_clear(
        1, "cannot connect", "github.api_url"
    )


def test_a_repository_that_does_not_exist_stops_no_other(host: Installation) -> None:
    host.configure(github={"repositories": ["acme/no-such", "acme/fine"]})
    issue = host.issue("acme/fine", GREET)
    daemon = host.start()

    assert host.ended(daemon, issue)["reason"] == "pull_request_opened"
    told = [line for line in daemon.log.splitlines() if "acme/no-such" in line and "404" in line]
    assert len(told) == 1
    assert "check the name" in told[0]
    health = daemon.ask("/health").json()
    assert health["status"] == "warn"
    assert "acme/no-such" in json.dumps(health)
    assert daemon.ask("/health/ready").status == 200


def test_a_state_directory_that_may_not_be_written(host: Installation) -> None:
    host.state.mkdir(mode=0o500)
    if os.geteuid() == 0:  # root may write everywhere but where a file system forbids it
        host.configure(service={"state_directory": "/proc/claude-flow"})
    result = ended(host)
    result.assert_clear(78, "service.state_directory")
    assert len(result.err.splitlines()) == 1


def test_an_agent_that_vanishes_is_told_on_the_issue(host: Installation, tmp_path: Path) -> None:
    agent = tmp_path / "agent"
    agent.write_text("#!/bin/sh\n", encoding="utf-8")
    agent.chmod(0o755)
    host.configure(claude_flow={"command": [str(agent)], "max_attempts": 1})
    daemon = host.start()
    daemon.address()
    agent.unlink()
    issue = host.issue("acme/fine", GREET)
    run = host.ended(daemon, issue)

    assert run["attempts"][0]["reason"] == "agent_failed"
    (comment,) = host.world.github.comments(issue)
    assert str(agent) in comment.body
