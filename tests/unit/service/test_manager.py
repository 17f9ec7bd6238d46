"""The policy of ServiceManager, over units that only remember what was asked of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from claude_flow.config import ConfigManager
from claude_flow.errors import ServiceError
from claude_flow.ports import JournalLine, UnitState, UnitUsage
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
)


@dataclass
class Units:
    """``is_stubborn``: nothing but SIGKILL ends it."""

    seen: UnitState = _STATE
    is_stubborn: bool = False
    start_fault: ServiceError | None = None
    after_start: UnitState | None = None
    pids: tuple[int, ...] = ()
    is_patient: bool = False
    bus_fault: ServiceError | None = None
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

    def enable(self, unit: str, *, timeout_seconds: float = 30) -> None:
        self.asked.append(("enable", unit, timeout_seconds))

    def disable(self, unit: str, *, timeout_seconds: float = 30) -> None:
        self.asked.append(("disable", unit, timeout_seconds))

    def kill(
        self, unit: str, *, signal: int, whom: str = "all", timeout_seconds: float = 30
    ) -> None:
        self.asked.append(("kill", unit, int(signal), whom, timeout_seconds))
        self.is_stubborn = False

    def reset_failed(self, unit: str) -> None:
        self.asked.append(("reset_failed", unit))
        self.seen = replace(self.seen, active="inactive")

    def state(self, unit: str) -> UnitState:
        assert unit == self.seen.unit
        return self.seen

    def running(self, pattern: str) -> list[str]:
        raise NotImplementedError(pattern)

    def usage(self, unit: str) -> UnitUsage:
        assert unit == self.seen.unit
        if self.seen.main_pid is None:
            return UnitUsage()
        return UnitUsage(
            pids=self.pids,
            main_started_at=datetime.now(UTC),
            main_uptime_seconds=7.0,
            memory_bytes=10**8,
            memory_max_bytes=2 * 10**9,
            oom_kills=1,
        )

    def backs_off(self, unit: str) -> bool:
        assert unit == self.seen.unit
        if self.bus_fault:
            raise self.bus_fault
        return self.is_patient

    def log_namespace(self, unit: str) -> str | None:
        assert unit == self.seen.unit
        return "claude-flow"


@dataclass
class Log:
    """A journal of one line, or one that may not be read."""

    fault: ServiceError | None = None

    def tail(self, unit: str, namespace: str | None, lines: int) -> list[JournalLine]:
        if self.fault:
            raise self.fault
        message = f"{unit} in {namespace}, {lines} lines"
        return [JournalLine(datetime.now(UTC), 6, "claude-flow", message)]


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
def log() -> Log:
    return Log()


@pytest.fixture
def manager(config: ConfigManager, units: Units, log: Log) -> ServiceManager:
    return ServiceManager(config, units=units, journal=log, environ={})


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
    assert ("kill", "claude-flow.service", 9, "all", 30) in units.asked


def test_force_does_not_hide_a_refusal(manager: ServiceManager, units: Units) -> None:
    units.is_stubborn = True  # stop is refused, but nothing runs
    with pytest.raises(ServiceError):
        manager.stop(force=True)
    assert "kill" not in [entry[0] for entry in units.asked]


def test_every_verb_has_a_time_out(manager: ServiceManager, units: Units) -> None:
    units.seen = replace(_STATE, active="active")
    manager.enable(timeout=1)
    manager.disable(timeout=2)
    manager.kill(timeout=3)
    assert [entry[-1] for entry in units.asked] == [1, 2, 3]


def test_a_status_of_this_very_process_and_its_child(
    manager: ServiceManager, units: Units, tmp_path: Path
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        units.pids = (child.pid, os.getpid())
        units.seen = replace(_STATE, active="active", main_pid=os.getpid())
        status = manager.status()
        assert child.stdin is not None
        child.stdin.close()
    main = status.process
    assert main is not None
    assert (main.pid, main.children, main.uptime_seconds) == (os.getpid(), 1, 7.0)
    assert main.memory_bytes
    assert main.memory_bytes > 1_000_000
    assert main.open_files
    assert main.cpu_percent is not None
    assert [process.pid for process in status.processes] == [os.getpid(), child.pid]
    assert status.processes[1].parent_pid == os.getpid()
    resources = status.resources
    assert resources.interval_seconds is not None
    assert resources.interval_seconds >= 0.1, "a share over less is noise"
    assert (resources.memory_bytes, resources.memory_max_bytes) == (10**8, 2 * 10**9)
    assert resources.oom_kills == 1
    assert resources.open_files is not None
    assert resources.open_files > main.open_files
    assert status.verdict is Verdict.UNHEALTHY, "active, but nothing answers"
    written = json.loads((tmp_path / "status.json").read_text())
    assert written == status.to_dict() | {"journal": []}, "the journal is not for everybody"


def test_the_journal_of_the_units_namespace_is_told(manager: ServiceManager, log: Log) -> None:
    [line] = manager.status(journal_lines=3).journal
    assert line.message == "claude-flow.service in claude-flow, 3 lines"
    log.fault = ServiceError("the journal may not be read")
    status = manager.status()
    assert (status.journal, status.journal_error) == ((), "the journal may not be read")
    assert manager.status(journal_lines=0).journal_error is None


def test_a_daemon_that_ends_again_and_again_waits_longer_each_time(
    manager: ServiceManager, units: Units
) -> None:
    def gap(restarts: int) -> float:
        units.seen = replace(_STATE, restarts=restarts)
        return 2 + manager.restart_pause()  # RestartSec=2 of the unit

    assert [gap(restarts) for restarts in range(8)] == [2, 2, 4, 8, 16, 32, 60, 60]
    assert gap(10**6) == 60
    units.is_patient = True
    assert gap(5) == 2, "systemd does it itself"
    units.is_patient = False
    units.bus_fault = ServiceError("no bus")
    assert gap(5) == 2


def test_a_silent_control_group_leaves_the_main_process_and_its_children(
    manager: ServiceManager, units: Units
) -> None:
    units.seen = replace(_STATE, active="active", main_pid=os.getpid())
    assert os.getpid() in [process.pid for process in manager.status().processes]


def test_a_process_that_has_just_ended_is_none(manager: ServiceManager, units: Units) -> None:
    units.seen = replace(_STATE, active="active", main_pid=2**22 - 1)
    assert manager.status().process is None


def test_a_status_file_that_cannot_be_written_does_not_hide_the_status(
    manager: ServiceManager, tmp_path: Path
) -> None:
    (tmp_path / "status.json").mkdir()
    assert manager.status().verdict is Verdict.STOPPED


def test_the_address_that_the_daemon_wrote_down_is_asked(
    config: ConfigManager, units: Units, log: Log, tmp_path: Path
) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    (runtime / "http-address").write_text("192.0.2.7:80\n")
    manager = ServiceManager(
        config, units=units, journal=log, environ={"RUNTIME_DIRECTORY": str(runtime)}
    )
    health = manager.status().health
    assert (health.status, health.address) == ("unknown", "192.0.2.7:80")
    assert "not a loopback address" in (health.detail or "")
