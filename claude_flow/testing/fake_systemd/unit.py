"""A unit's object on the bus."""

from __future__ import annotations

import psutil
from sdbus import DbusInterfaceCommonAsync, dbus_method_async, dbus_property_async

from claude_flow.testing.fake_systemd.answers import NAME
from claude_flow.testing.fake_systemd.process import Process

_UNSET = 2**64 - 1


class _UnitProperties(DbusInterfaceCommonAsync, interface_name=f"{NAME}.Unit"):
    process: Process

    @dbus_property_async("s", property_name="Id")
    def id_(self) -> str:
        return self.process.file.name

    @property
    def load(self) -> str:
        return "loaded" if self.process.file.argv else "not-found"

    @property
    def sub(self) -> str:
        words = {"active": "running", "inactive": "dead"}
        return words.get(self.process.active, self.process.active)

    @dbus_property_async("s")
    def load_state(self) -> str:
        return self.load

    @dbus_property_async("s")
    def active_state(self) -> str:
        return self.process.active

    @dbus_property_async("s")
    def sub_state(self) -> str:
        return self.sub

    @dbus_property_async("s")
    def unit_file_state(self) -> str:
        if not self.process.file.argv:
            return ""
        return "enabled" if self.process.file.is_enabled else "disabled"

    @dbus_property_async("t")
    def active_enter_timestamp(self) -> int:
        return self.process.active_since


class Unit(_UnitProperties, interface_name=f"{NAME}.Service"):
    def __init__(self, process: Process) -> None:
        super().__init__()
        self.process = process

    @dbus_property_async("s")
    def result(self) -> str:
        return self.process.result

    @dbus_property_async("u", property_name="MainPID")
    def main_pid(self) -> int:
        return self.process.pid

    @dbus_property_async("u", property_name="NRestarts")
    def n_restarts(self) -> int:
        return 0

    @dbus_property_async("i")
    def exec_main_status(self) -> int:
        return self.process.exit_status

    @dbus_property_async("i")
    def exec_main_code(self) -> int:
        return self.process.exit_code

    @dbus_property_async("s")
    def status_text(self) -> str:
        return self.process.status_text

    @dbus_property_async("t")
    def exec_main_start_timestamp(self) -> int:
        return self.process.started_at

    @dbus_property_async("t")
    def exec_main_start_timestamp_monotonic(self) -> int:
        return self.process.started_monotonic

    @dbus_property_async("s")
    def control_group(self) -> str:
        return f"/system.slice/{self.process.file.name}" if self.process.pid else ""

    @dbus_method_async("", "a(sus)")
    async def get_processes(self) -> list[tuple[str, int, str]]:
        """The processes of the unit's control group."""
        group, main = f"/system.slice/{self.process.file.name}", self.process.pid
        pids = [main, *_descendants(main)] if main else []
        return [(group, pid, "") for pid in pids]

    @dbus_property_async("u")
    def restart_steps(self) -> int:
        return 0

    @dbus_property_async("s")
    def log_namespace(self) -> str:
        return ""

    @dbus_property_async("t")
    def memory_current(self) -> int:
        return _UNSET

    @dbus_property_async("t")
    def memory_max(self) -> int:
        return 2 * 1024**3

    @dbus_property_async("t", property_name="CPUQuotaPerSecUSec")
    def cpu_quota(self) -> int:
        return 2_000_000

    @dbus_property_async("t", property_name="CPUUsageNSec")
    def cpu_usage(self) -> int:
        return _UNSET

    @dbus_property_async("t")
    def tasks_current(self) -> int:
        return 1 if self.process.pid else _UNSET


def _descendants(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []
