"""The policy of ServiceManager, over units that only remember what was asked of them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from claude_flow.config import ConfigManager
from claude_flow.errors import ServiceError
from claude_flow.ports import UnitState
from claude_flow.service import ServiceManager, Verdict

_STATE = UnitState(
    unit="claude-flow.service",
    load="loaded",
    active="inactive",
    sub="dead",
    file="disabled",
    result="success",
    main_pid=None,
    exit_status=None,
    restarts=0,
    status_text=None,
    active_since=None,
    memory_bytes=None,
    cpu_seconds=None,
    tasks=None,
)


@dataclass
class Units:
    """``is_stubborn``: nothing but SIGKILL ends it."""

    seen: UnitState = _STATE
    is_stubborn: bool = False
    start_fault: ServiceError | None = None
    after_start: UnitState | None = None
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def start(self, unit: str, *, timeout_seconds: float) -> None:
        self.asked.append(("start", unit, timeout_seconds))
        self.seen = self.after_start or self.seen
        if self.start_fault:
            raise self.start_fault

    def stop(self, unit: str, *, timeout_seconds: float) -> None:
        self.asked.append(("stop", unit, timeout_seconds))
        if self.is_stubborn:
            raise ServiceError("it did not stop in time")
        self.seen = replace(self.seen, active="failed")

    def restart(self, unit: str, *, timeout_seconds: float) -> None:
        self.asked.append(("restart", unit, timeout_seconds))

    def reload(self, unit: str, *, timeout_seconds: float) -> None:
        self.asked.append(("reload", unit, timeout_seconds))

    def enable(self, unit: str) -> None:
        self.asked.append(("enable", unit))

    def disable(self, unit: str) -> None:
        self.asked.append(("disable", unit))

    def kill(self, unit: str, *, signal: int, whom: str = "all") -> None:
        self.asked.append(("kill", unit, int(signal), whom))
        self.is_stubborn = False

    def reset_failed(self, unit: str) -> None:
        self.asked.append(("reset_failed", unit))
        self.seen = replace(self.seen, active="inactive")

    def state(self, unit: str) -> UnitState:
        assert unit == self.seen.unit
        return self.seen


@pytest.fixture
def config(tmp_path: Path) -> ConfigManager:
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {
                "service": {"state_directory": str(tmp_path)},
                "systemd": {"start_timeout_seconds": 11, "stop_timeout_seconds": 22},
                "monitoring": {"http_port": 0, "status_file": str(tmp_path / "status.json")},
            }
        )
    )
    return ConfigManager.load(path, environ={})


@pytest.fixture
def units() -> Units:
    return Units()


@pytest.fixture
def manager(config: ConfigManager, units: Units) -> ServiceManager:
    return ServiceManager(config, units=units, environ={})


def test_time_outs_are_the_configured_ones_or_the_callers(
    manager: ServiceManager, units: Units
) -> None:
    manager.start()
    manager.stop()
    manager.start(timeout=1)
    manager.restart(timeout=3)
    manager.restart()
    waits = [entry[2] for entry in units.asked if len(entry) == 3]
    assert waits == [11, 22, 1, 3, 33]


def test_a_start_by_hand_forgets_earlier_failures(manager: ServiceManager, units: Units) -> None:
    units.seen = replace(_STATE, active="failed")
    manager.start()
    assert [entry[0] for entry in units.asked] == ["reset_failed", "start"]


def test_a_daemon_that_refused_its_configuration_is_said_so(
    manager: ServiceManager, units: Units
) -> None:
    units.start_fault = ServiceError("it did not start")
    units.after_start = replace(_STATE, active="failed", exit_status=78)
    with pytest.raises(ServiceError, match="refuses its configuration") as got:
        manager.start()
    assert "config check" in (got.value.hint or "")


def test_an_old_exit_status_is_not_blamed(manager: ServiceManager, units: Units) -> None:
    units.start_fault = ServiceError("it is still activating")
    units.seen = replace(_STATE, active="activating", exit_status=78)
    with pytest.raises(ServiceError, match="still activating"):
        manager.start()


def test_what_does_not_stop_is_killed_only_by_force(manager: ServiceManager, units: Units) -> None:
    units.is_stubborn = True
    units.seen = replace(_STATE, active="deactivating")
    with pytest.raises(ServiceError, match="in time"):
        manager.stop()
    assert "kill" not in [entry[0] for entry in units.asked]
    manager.stop(timeout=1, force=True)
    assert [entry[0] for entry in units.asked][1:] == ["stop", "kill", "stop", "reset_failed"]
    assert ("kill", "claude-flow.service", 9, "all") in units.asked


def test_force_does_not_hide_a_refusal(manager: ServiceManager, units: Units) -> None:
    units.is_stubborn = True  # stop is refused, but nothing runs
    with pytest.raises(ServiceError):
        manager.stop(force=True)
    assert "kill" not in [entry[0] for entry in units.asked]


def test_a_status_of_this_very_process(
    manager: ServiceManager, units: Units, tmp_path: Path
) -> None:
    units.seen = replace(_STATE, active="active", main_pid=os.getpid())
    status = manager.status()
    assert status.process is not None
    assert status.process.pid == os.getpid()
    assert status.process.memory_bytes
    assert status.process.memory_bytes > 1_000_000
    assert status.process.uptime_seconds > 0
    assert status.verdict is Verdict.UNHEALTHY, "active, but nothing answers"
    assert json.loads((tmp_path / "status.json").read_text()) == status.to_dict()


def test_a_process_that_has_just_ended_is_none(manager: ServiceManager, units: Units) -> None:
    units.seen = replace(_STATE, active="active", main_pid=2**22 - 1)
    assert manager.status().process is None


def test_a_status_file_that_cannot_be_written_does_not_hide_the_status(
    manager: ServiceManager, tmp_path: Path
) -> None:
    (tmp_path / "status.json").mkdir()
    assert manager.status().verdict is Verdict.STOPPED


def test_the_address_that_the_daemon_wrote_down_is_asked(
    config: ConfigManager, units: Units, tmp_path: Path
) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    (runtime / "http-address").write_text("192.0.2.7:80\n")
    manager = ServiceManager(config, units=units, environ={"RUNTIME_DIRECTORY": str(runtime)})
    health = manager.status().health
    assert (health.status, health.address) == ("unknown", "192.0.2.7:80")
    assert "not a loopback address" in (health.detail or "")
