"""The daemon follows its configuration file without touching the attempts that run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_flow.testing.daemon_process import DaemonProcess, until
from claude_flow.testing.installation import MAINTAINER, Installation
from claude_flow.testing.world import World

WAIT_FOR_A_FILE = """\
while not Path({path!r}).exists():
    time.sleep(0.05)
Path('done.txt').write_text('done')
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Installation]:
    with World(tmp_path / "world") as world, Installation(tmp_path / "host", world) as host:
        yield host


def reloaded(daemon: DaemonProcess, saying: str) -> str:
    """Send SIGHUP and wait for a line that it leads to."""
    said_before = len(daemon.log)
    daemon.signal(signal.SIGHUP)
    until(lambda: saying in daemon.log[said_before:], lambda: f"{saying}\n{daemon.last_words()}")
    return daemon.log[said_before:]


def config_diff(host: Installation, *argv: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "claude_flow.cli.main", "config", "diff", *argv],
        env={**host.environ, "CLAUDE_FLOW_CONFIG": str(host.config)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_what_changed_is_in_force_at_once_and_what_cannot_be_is_named(
    host: Installation, tmp_path: Path
) -> None:
    host.add_repository("acme/widgets")
    host.add_repository("acme/gadgets")
    go = tmp_path / "go"
    running = host.issue("acme/widgets", WAIT_FOR_A_FILE.format(path=str(go)))
    daemon = host.start()
    until(host.agents, lambda: f"the agent\n{daemon.last_words()}")
    assert config_diff(host) == "the daemon runs with what its files say\n"
    agents = host.agents()

    host.configure(
        github={"trigger_label": "please"},
        service={"max_concurrent_runs": 2},
        monitoring={"http_port": 1},
    )
    differing = json.loads(config_diff(host, "--json"))["differences"]
    assert {entry["key"]: entry["needs"] for entry in differing} == {
        "github.trigger_label": "reload",
        "service.max_concurrent_runs": "reload",
        "monitoring.http_port": "restart",
    }

    said = reloaded(daemon, "take effect only after a restart: monitoring.http_port")
    assert "changed: github.trigger_label, monitoring.http_port, service.max" in said
    until(lambda: "http_port" in config_diff(host), "the daemon's record")
    assert config_diff(host).split()[4:] == ["monitoring.http_port", "0", "1", "restart"]

    # The new label counts, and the attempt from before goes on undisturbed.
    new = host.issue("acme/gadgets", "Path('x').write_text('x')", labelled_by=None)
    host.world.github.label_issue(new, "please", MAINTAINER)
    assert host.ended(daemon, new)["state"] == "succeeded"
    assert set(agents) <= set(host.agents())
    go.touch()
    assert host.ended(daemon, running)["state"] == "succeeded"
    assert daemon.stop() == 0


def test_an_invalid_one_is_told_and_the_last_good_one_stays(host: Installation) -> None:
    host.add_repository("acme/widgets")
    daemon = host.start()
    until(lambda: daemon.ask("/health/ready").status == 200, daemon.last_words)

    host.configure(service={"max_concurrent_runs": 0})
    said = reloaded(daemon, "the last good one stays in force")
    assert "service.max_concurrent_runs" in said
    assert host.world.token not in daemon.log
    health = until(lambda: _when(daemon, "warn"), lambda: f"a warning\n{daemon.last_words()}")
    assert "service.max_concurrent_runs" in json.dumps(health)
    issue = host.issue("acme/widgets", "Path('x').write_text('x')")
    assert host.ended(daemon, issue)["state"] == "succeeded"

    host.configure(service={"max_concurrent_runs": 1})
    reloaded(daemon, "configuration reloaded")
    until(lambda: _when(daemon, "pass"), lambda: f"health\n{daemon.last_words()}")
    assert daemon.stop() == 0


def _when(daemon: DaemonProcess, status: str) -> object:
    health = daemon.ask("/health").json()
    return health if health["status"] == status else None
