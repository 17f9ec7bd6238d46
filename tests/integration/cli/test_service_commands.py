from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from claude_flow.config import ConfigError, ConfigManager
from claude_flow.errors import ServiceError
from claude_flow.service import ServiceManager, Verdict


def test_a_service_from_start_to_stop(host: Any) -> None:
    stopped = host.ctl("status")
    assert (stopped.returncode, stopped.stdout.splitlines()[0]) == (
        3,
        "claude-flow.service: stopped",
    )
    assert host.fine("start") == "claude-flow.service is running\n"
    status = host.json("status")
    assert status["verdict"] == "healthy"
    assert status["unit"]["active"] == "active"
    assert status["unit"]["status_text"] == "watching 2 repositories"
    assert status["process"]["pid"] == status["unit"]["main_pid"]
    assert status["process"]["memory_bytes"] > 1_000_000
    assert [process["pid"] for process in status["processes"]] == [status["process"]["pid"]]
    assert status["resources"]["connections"] >= 1, "it listens"
    assert status["resources"]["cpu_quota_percent"] == 200
    text = host.fine("status")
    assert text.startswith("claude-flow.service: healthy\n")
    assert "\nopen files:" in text
    assert status["health"]["status"] in {"pass", "warn"}
    assert host.fine("stop") == "claude-flow.service is stopped\n"
    assert host.ctl("status").returncode == 3


def test_restart_makes_another_process(running: Any) -> None:
    first = running.json("status")["unit"]["main_pid"]
    running.fine("restart")
    assert running.json("status")["unit"]["main_pid"] != first


def test_reload_is_refused_with_an_invalid_configuration_and_the_service_goes_on(
    running: Any,
) -> None:
    running.configure(github={"poll_interval_seconds": "soon"})
    refused = running.ctl("reload")
    assert refused.returncode == 78
    assert "github.poll_interval_seconds" in refused.stderr
    assert "Traceback" not in refused.stderr
    running.configure(github={"poll_interval_seconds": 1, "repositories": []})
    assert running.ctl("reload").returncode == 78
    running.configure(github={"repositories": ["acme/greeter"]})
    assert running.ctl("status").returncode == 0
    assert "anew" in running.fine("reload")


def test_reload_of_a_stopped_service_says_what_to_do(host: Any) -> None:
    refused = host.ctl("reload")
    assert refused.returncode == 1
    assert "not running" in refused.stderr
    assert "claude-flowctl start" in refused.stderr


def test_a_start_with_a_configuration_the_daemon_refuses_points_at_it(host: Any) -> None:
    host.configure(github={"repositories": []})
    refused = host.ctl("start")
    assert refused.returncode == 1
    assert "refuses its configuration" in refused.stderr
    assert "config check" in refused.stderr
    assert host.ctl("status").returncode == 3


def test_enable_and_disable(running: Any) -> None:
    running.fine("enable")
    assert running.json("status")["unit"]["file"] == "enabled"
    running.fine("disable")
    assert running.json("status")["unit"]["file"] == "disabled"


def test_kill_takes_names_and_numbers_of_signals(running: Any) -> None:
    assert "SIGKILL was sent" in running.fine("kill")
    assert running.ctl("status").returncode == 3
    assert running.ctl("kill", "--signal", "NONSENSE").returncode == 2
    refused = running.ctl("kill", "--signal", "15")
    assert (refused.returncode, "nothing to kill" in refused.stderr) == (1, True)


def test_a_unit_that_is_not_installed(host: Any) -> None:
    host.configure(systemd={"unit": "elsewhere.service"})
    refused = host.ctl("start")
    assert refused.returncode == 1
    assert "elsewhere.service" in refused.stderr
    assert "playbook" in refused.stderr


def test_a_host_without_systemd(host: Any) -> None:
    host.environ["DBUS_SYSTEM_BUS_ADDRESS"], kept = (
        "unix:path=/nonexistent",
        host.environ["DBUS_SYSTEM_BUS_ADDRESS"],
    )
    try:
        refused = host.ctl("start")
        status = host.ctl("status")
    finally:
        host.environ["DBUS_SYSTEM_BUS_ADDRESS"] = kept
    assert refused.returncode == 1
    assert "systemd cannot be reached" in refused.stderr
    assert "foreground" in refused.stderr
    assert status.returncode == 3


def test_the_library_does_the_same(host: Any) -> None:
    manager = ServiceManager(ConfigManager.load(host.config_path, environ=host.environ))
    assert not manager.is_active()
    assert not manager.is_healthy()
    with pytest.raises(ServiceError, match="not running"):
        manager.reload()
    manager.start(timeout=30)
    assert manager.is_active()
    assert manager.is_healthy()
    assert manager.status().verdict is Verdict.HEALTHY
    host.configure(github={"repositories": "acme/greeter"})
    with pytest.raises(ConfigError):
        manager.reload()
    host.configure(github={"repositories": ["acme/greeter"]})
    manager.reload()
    manager.stop(timeout=30)
    assert manager.status().verdict is Verdict.STOPPED


def test_logs_become_journalctl_with_the_units_filter(host: Any, tmp_path: Path) -> None:
    stand_in = tmp_path / "journalctl"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stand_in.chmod(0o755)
    host.environ["PATH"], kept = f"{tmp_path}:{host.environ['PATH']}", host.environ["PATH"]
    try:
        told = host.fine("logs", "-f", "-n", "5", "--run", "run-1", "--since", "1 hour ago")
    finally:
        host.environ["PATH"] = kept
    assert told.splitlines() == [
        "--unit=claude-flow.service",
        "--lines=5",
        "--follow",
        "CLAUDE_FLOW_RUN_ID=run-1",
        "--since=1 hour ago",
    ]
