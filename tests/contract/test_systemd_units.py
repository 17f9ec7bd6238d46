"""What the port ``ServiceUnits`` promises, over a real bus."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from claude_flow.errors import ServiceError
from claude_flow.ports import ServiceUnits
from claude_flow.systemd.bus import unit_path
from claude_flow.systemd.manager import SystemdUnits
from claude_flow.testing.system_bus import fake_systemd, message_bus

_SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
_NOTIFY = [
    sys.executable,
    "-c",
    """
import os, signal, time
from claude_flow.systemd.notify import Notifier
notifier = Notifier(os.environ)
signal.signal(signal.SIGHUP, lambda *_: notifier.status("reloaded"))
notifier.ready("polling")
while True:
    time.sleep(600)
""",
]
_UNITS = {
    "plain.service": _SLEEP,
    "daemon.service": _NOTIFY,
    "silent.service": _SLEEP,
    "broken.service": [sys.executable, "-c", "raise SystemExit(78)"],
    "other.service": _SLEEP,
}
_NOTIFYING = ["daemon.service", "silent.service", "broken.service"]


@pytest.fixture(scope="module")
def bus() -> Iterator[dict[str, str]]:
    # A bus's address has to be shorter than pytest's own directories.
    with (
        tempfile.TemporaryDirectory(prefix="bus-") as directory,
        fake_systemd(
            Path(directory),
            _UNITS,
            notify=_NOTIFYING,
            protected=["other.service"],
            missing=["nowhere.service"],
        ) as reach,
    ):
        yield reach


@pytest.fixture
def units(bus: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> ServiceUnits:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus["DBUS_SYSTEM_BUS_ADDRESS"])
    return SystemdUnits()


def until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def test_a_unit_runs_between_start_and_stop(units: ServiceUnits) -> None:
    before = datetime.now(UTC)
    units.start("plain.service", timeout_seconds=20)
    state = units.state("plain.service")
    assert (state.unit, state.load, state.active, state.sub) == (
        "plain.service",
        "loaded",
        "active",
        "running",
    )
    assert state.is_active
    assert state.main_pid is not None
    os.kill(state.main_pid, 0)
    assert state.active_since is not None
    assert before <= state.active_since <= datetime.now(UTC)
    usage = units.usage("plain.service")
    assert usage.pids == (state.main_pid,)
    assert usage.memory_bytes is None, "what systemd does not count is None, not 2**64 - 1"
    assert (usage.memory_max_bytes, usage.cpu_quota_percent) == (2 * 1024**3, 200)
    assert usage.main_started_at is not None
    assert before <= usage.main_started_at <= datetime.now(UTC)
    assert usage.main_uptime_seconds is not None
    assert 0 <= usage.main_uptime_seconds < 60
    assert units.log_namespace("plain.service") is None
    units.stop("plain.service", timeout_seconds=20)
    after = units.state("plain.service")
    assert (after.active, after.main_pid) == ("inactive", None)
    assert not after.is_active
    assert units.usage("plain.service").pids == ()


def test_those_that_run_are_found_by_a_pattern(units: ServiceUnits) -> None:
    assert units.running("pl*.service") == []
    units.start("plain.service", timeout_seconds=20)
    assert units.running("pl*.service") == ["plain.service"]
    assert units.running("other*.service") == []
    units.stop("plain.service", timeout_seconds=20)
    assert units.running("*") == []


def test_start_and_stop_may_be_repeated(units: ServiceUnits) -> None:
    units.start("plain.service", timeout_seconds=20)
    pid = units.state("plain.service").main_pid
    units.start("plain.service", timeout_seconds=20)
    assert units.state("plain.service").main_pid == pid
    units.stop("plain.service", timeout_seconds=20)
    units.stop("plain.service", timeout_seconds=20)


def test_start_waits_until_the_daemon_is_ready(units: ServiceUnits) -> None:
    units.start("daemon.service", timeout_seconds=30)
    state = units.state("daemon.service")
    assert state.active == "active"
    assert state.status_text == "polling"
    units.stop("daemon.service", timeout_seconds=20)


def test_restart_makes_another_process(units: ServiceUnits) -> None:
    units.start("plain.service", timeout_seconds=20)
    first = units.state("plain.service").main_pid
    units.restart("plain.service", timeout_seconds=20)
    second = units.state("plain.service").main_pid
    assert second is not None
    assert second != first
    units.stop("plain.service", timeout_seconds=20)


def test_reload_reaches_the_daemon(units: ServiceUnits) -> None:
    units.start("daemon.service", timeout_seconds=30)
    units.reload("daemon.service", timeout_seconds=20)
    until(
        lambda: units.state("daemon.service").status_text == "reloaded",
        "the daemon was not told to reload",
    )
    units.stop("daemon.service", timeout_seconds=20)


def test_a_daemon_that_ends_before_it_is_ready_is_an_error(units: ServiceUnits) -> None:
    with pytest.raises(ServiceError, match=r"broken\.service did not start: exit-code.* 78") as got:
        units.start("broken.service", timeout_seconds=20)
    assert "claude-flowctl logs" in (got.value.hint or "")
    state = units.state("broken.service")
    assert (state.active, state.result, state.exit_status) == ("failed", "exit-code", 78)
    units.reset_failed("broken.service")
    assert units.state("broken.service").active == "inactive"


def test_a_daemon_that_is_never_ready_is_given_up_in_time(units: ServiceUnits) -> None:
    begun = time.monotonic()
    with pytest.raises(ServiceError, match=r"did not start within 0\.5 s and is activating"):
        units.start("silent.service", timeout_seconds=0.5)
    assert time.monotonic() - begun < 10
    units.stop("silent.service", timeout_seconds=20)


def test_reload_of_what_does_not_run_is_refused(units: ServiceUnits) -> None:
    with pytest.raises(ServiceError, match=r"plain\.service"):
        units.reload("plain.service", timeout_seconds=20)


def test_kill_ends_the_process(units: ServiceUnits) -> None:
    units.start("plain.service", timeout_seconds=20)
    units.kill("plain.service", signal=signal.SIGKILL)
    until(lambda: units.state("plain.service").active == "failed", "the kill was not noticed")
    assert units.state("plain.service").exit_status == signal.SIGKILL
    units.reset_failed("plain.service")


def test_kill_of_what_does_not_run_is_refused(units: ServiceUnits) -> None:
    with pytest.raises(ServiceError, match=r"plain\.service not loaded"):
        units.kill("plain.service", signal=signal.SIGTERM)


def test_enable_and_disable(units: ServiceUnits) -> None:
    units.enable("plain.service")
    assert units.state("plain.service").file == "enabled"
    units.disable("plain.service")
    assert units.state("plain.service").file == "disabled"


def test_a_unit_that_does_not_exist(units: ServiceUnits) -> None:
    assert units.state("nowhere.service").load == "not-found"
    assert units.usage("nowhere.service").pids == ()
    acts: list[Callable[[], None]] = [
        lambda: units.start("nowhere.service", timeout_seconds=20),
        lambda: units.enable("nowhere.service"),
        lambda: units.disable("nowhere.service"),
        lambda: units.kill("nowhere.service", signal=signal.SIGTERM),
    ]
    for act in acts:
        with pytest.raises(ServiceError, match=r"no unit nowhere\.service"):
            act()


@pytest.mark.parametrize(
    ("unit", "path"),
    [
        ("claude-flow.service", "claude_2dflow_2eservice"),
        ("claude-flow-run@greeter-1-2.service", "claude_2dflow_2drun_40greeter_2d1_2d2_2eservice"),
        ("7zip.service", "_37zip_2eservice"),
        ("grün.service", "gr_c3_bcn_2eservice"),
    ],
)
def test_a_units_object_is_named_as_systemd_does(unit: str, path: str) -> None:
    assert unit_path(unit) == f"/org/freedesktop/systemd1/unit/{path}"


def test_another_unit_is_not_ours_to_manage(units: ServiceUnits) -> None:
    with pytest.raises(ServiceError, match="does not let this user start") as got:
        units.start("other.service", timeout_seconds=20)
    assert "sudo" in (got.value.hint or "")


async def test_calls_from_inside_an_event_loop_work(units: ServiceUnits) -> None:
    direct = units.state("plain.service")
    threaded = await asyncio.to_thread(units.state, "plain.service")
    assert direct == threaded


def test_a_bus_that_goes_away_in_the_middle_of_a_job_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silent = {"silent.service": _SLEEP}
    with (
        tempfile.TemporaryDirectory(prefix="bus-") as directory,
        ThreadPoolExecutor(1) as pool,
        fake_systemd(Path(directory), silent, notify=list(silent)) as reach,
    ):
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", reach["DBUS_SYSTEM_BUS_ADDRESS"])
        units = SystemdUnits()
        starting = pool.submit(units.start, "silent.service", timeout_seconds=60)
        until(lambda: units.state("silent.service").active == "activating", "no start")
        [bus] = [
            process
            for process in psutil.Process().children()
            if any(directory in argument for argument in process.cmdline())
        ]
        bus.kill()
        with pytest.raises(ServiceError, match="the message bus went away") as got:
            starting.result(timeout=30)
        assert "claude-flowctl status" in (got.value.hint or "")


def test_a_bus_without_systemd_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="bus-") as directory,
        message_bus(Path(directory)) as reach,
    ):
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", reach["DBUS_SYSTEM_BUS_ADDRESS"])
        with pytest.raises(ServiceError, match="no systemd on it") as got:
            SystemdUnits().state("plain.service")
    assert "foreground" in (got.value.hint or "")


def test_what_the_kernel_counts_for_the_control_group(
    bus: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus["DBUS_SYSTEM_BUS_ADDRESS"])
    group = tmp_path / "system.slice" / "plain.service"
    group.mkdir(parents=True)
    (group / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\n")
    (group / "cpu.stat").write_text("usage_usec 9\nnr_throttled 3\nthrottled_usec 1500000\n")
    units = SystemdUnits(cgroup_root=tmp_path)
    units.start("plain.service", timeout_seconds=20)
    usage = units.usage("plain.service")
    assert (usage.oom_kills, usage.throttled_seconds) == (1, 1.5)
    units.stop("plain.service", timeout_seconds=20)
    assert units.usage("plain.service").oom_kills is None


def test_a_host_without_systemd_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    with pytest.raises(ServiceError, match="No such file or directory") as got:
        SystemdUnits().state("plain.service")
    assert "foreground" in (got.value.hint or "")
