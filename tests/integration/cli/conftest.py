"""claude-flowctl against the real daemon, on a stand-in GitHub, under the fake systemd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from claude_flow.config import ConfigManager
from claude_flow.service.client import DaemonClient
from claude_flow.service.places import daemon_address
from claude_flow.systemd.manager import SystemdUnits
from claude_flow.testing.system_bus import fake_systemd
from claude_flow.testing.world import World

UNIT = "claude-flow.service"
_AGENT = """
import json, pathlib, sys, time
sys.stdin.read()
print(json.dumps({"type": "system", "subtype": "init", "model": "scripted"}), flush=True)
print(json.dumps({"type": "assistant", "message": {"content": [
    {"type": "text", "text": "I greet \\x1b[31mloudly\\x1b[0m with ghp_" + "a" * 36},
]}}), flush=True)
workspace = pathlib.Path.cwd()
if (workspace / "slow").exists():
    time.sleep(600)
(workspace / "greeting.txt").write_text("Hello!\\n")
print(json.dumps({"type": "result", "subtype": "success", "is_error": False, "num_turns": 2,
    "result": "Greets now."}), flush=True)
"""
# The agent is asked again once, for the check passes the second time.
_CHECKED = """\
---
hooks:
  before_run: echo about to greet
verify:
  commands:
    - test -e greeted || { touch greeted; exit 1; }
  rounds: 1
---
Greet.
"""


@dataclass
class Host:
    """A host with the service installed: its configuration, its bus and its GitHub."""

    config_path: Path
    environ: dict[str, str]
    world: World

    def ctl(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run claude-flowctl as a person would, into a pipe."""
        return subprocess.run(
            [_program("claude-flowctl"), "--config", str(self.config_path), *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def fine(self, *arguments: str, timeout: float = 60) -> str:
        """The same, and it must succeed."""
        done = self.ctl(*arguments, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "\x1b" not in done.stdout
        return done.stdout

    def client(self) -> DaemonClient:
        """The running daemon."""
        config = ConfigManager.load(self.config_path, environ=self.environ)
        return DaemonClient(daemon_address(config, self.environ) or "")

    def json(self, *arguments: str) -> Any:
        """The same, with --json."""
        return json.loads(self.fine(*arguments, "--json"))

    def configure(self, **changes: Any) -> None:
        """Change sections of the configuration file."""
        document = json.loads(self.config_path.read_text())
        for section, values in changes.items():
            document[section] = document.get(section, {}) | values
        self.config_path.write_text(json.dumps(document))


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


@pytest.fixture(scope="session")
def host_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    home = tmp_path_factory.mktemp("host")
    agent = home / "agent.py"
    agent.write_text(_AGENT)
    config_path = home / "config.json"
    with World(home / "world") as world:
        world.github.add_user("maria")
        for name, files in (
            ("acme/greeter", {"a.txt": "a"}),
            ("acme/slow", {"slow": "x"}),
            ("acme/checked", {".github/claude-flow.md": _CHECKED}),
        ):
            world.github.add_repository(name, files=files, permissions={"maria": "write"})
        config_path.write_text(
            json.dumps(
                {
                    "github": {
                        "api_url": world.api_url,
                        "git_base_url": world.git_base_url,
                        "repositories": ["acme/greeter", "acme/slow"],
                        "token": world.token,
                        "poll_interval_seconds": 1,
                    },
                    "service": {
                        "state_directory": str(home / "state"),
                        "workspace_root": str(home / "workspaces"),
                        "shutdown_grace_seconds": 1,
                    },
                    "claude_flow": {"agent": "command", "command": [sys.executable, str(agent)]},
                    "monitoring": {"http_port": 0, "status_file": str(home / "status.json")},
                }
            )
        )
        config_path.chmod(0o600)
        environ = {
            name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ
        }
        command = [_program("claude-flow-service"), "--config", str(config_path)]
        with (
            # A bus's address has to be shorter than pytest's own directories.
            tempfile.TemporaryDirectory(prefix="bus-") as directory,
            fake_systemd(
                Path(directory),
                {UNIT: command},
                notify=[UNIT],
                missing=["elsewhere.service"],
                environ=environ,
            ) as reach,
        ):
            patch = pytest.MonkeyPatch()
            patch.setenv("DBUS_SYSTEM_BUS_ADDRESS", reach["DBUS_SYSTEM_BUS_ADDRESS"])
            yield Host(config_path, environ | reach, world)
            patch.undo()


@pytest.fixture
def host(host_of_all: Host) -> Iterator[Host]:
    """A host whose service is stopped."""
    before = host_of_all.config_path.read_text()
    units = SystemdUnits()
    units.stop(UNIT, timeout_seconds=30)
    if units.state(UNIT).active == "failed":
        units.reset_failed(UNIT)
    yield host_of_all
    host_of_all.config_path.write_text(before)


@pytest.fixture
def checking(host: Host) -> Iterator[Host]:
    """A host whose service works on ``acme/checked`` alone."""
    host.configure(github={"repositories": ["acme/checked"]})
    host.fine("start")
    yield host
    host.fine("stop")


@pytest.fixture
def running(host_of_all: Host) -> Iterator[Host]:
    """A host whose service runs."""
    before = host_of_all.config_path.read_text()
    SystemdUnits().start(UNIT, timeout_seconds=60)
    yield host_of_all
    host_of_all.config_path.write_text(before)
