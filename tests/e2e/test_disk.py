"""The daemon and the disk: what is kept, where it is, and what happens when room is short."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from claude_flow.testing.daemon_process import DaemonProcess, until
from claude_flow.testing.installation import Installation

GREET = "Path('greeting.txt').write_text('Hello!\\n')"
FAIL = f"{GREET}; sys.exit(3)"


def test_a_failed_runs_workspace_is_kept_shown_and_goes_when_told(
    installation: Installation,
) -> None:
    repository = installation.add_repository("acme/one")
    installation.configure(claude_flow={"max_attempts": 1})
    daemon = installation.start()
    done = installation.ended(daemon, installation.issue(repository, GREET))
    failed = installation.ended(daemon, installation.issue(repository, FAIL))
    workspace = installation.state / "workspaces" / failed["id"]

    assert (workspace / "greeting.txt").exists()
    assert str(workspace) in _show(installation, failed)
    assert "workspaces" not in _show(installation, done)

    installation.configure(workspace={"keep_failed_seconds": 0})
    daemon.signal(signal.SIGHUP)
    until(lambda: not workspace.exists(), daemon.last_words)
    assert (installation.state / "runs" / failed["id"] / "1/stdout.log").exists()


def test_with_little_room_it_waits_and_goes_on_by_itself(installation: Installation) -> None:
    repository = installation.add_repository("acme/one")
    installation.configure(workspace={"min_free_bytes": 2**60})
    daemon = installation.start()
    until(lambda: _disk(daemon)["status"] == "warn", daemon.last_words)
    assert "workspace.min_free_bytes asks for 1099511627776 MiB" in _disk(daemon)["output"]
    issue = installation.issue(repository, GREET)
    until(lambda: "no new run starts" in daemon.log, daemon.last_words)
    assert daemon.runs(issue) == []

    installation.configure(workspace={"min_free_bytes": 0})
    daemon.signal(signal.SIGHUP)
    assert installation.ended(daemon, issue)["reason"] == "pull_request_opened"
    assert daemon.log.count("no new run starts") == 1
    assert _disk(daemon)["status"] == "pass"


def _disk(daemon: DaemonProcess) -> dict[str, Any]:
    (check,) = daemon.ask("/health").json()["checks"]["disk:free"]
    return dict(check)


def _show(installation: Installation, run: dict[str, Any]) -> str:
    program = str(Path(sys.executable).with_name("claude-flowctl"))
    return subprocess.run(
        [program, "--config", str(installation.config), "runs", "show", run["id"]],
        env=installation.environ,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
