"""Service units over D-Bus: what ``ports.ServiceUnits`` promises."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sdbus import sd_bus_open_system

from claude_flow.errors import ServiceError
from claude_flow.ports import UnitState, UnitUsage
from claude_flow.systemd.bus import (
    CALL_TIMEOUT_SECONDS,
    NAME,
    Bus,
    OpenBus,
    ask,
    connect,
    run,
    unit_path,
)
from claude_flow.systemd.cgroup import CGROUP_ROOT, memory_kills, throttled_seconds

_UNSET = 2**64 - 1  # systemd's "not counted" and "not limited"
_MICROSECONDS = 1_000_000

_UP = ("active", "activating", "deactivating", "reloading")
_VERBS = {
    "StartUnit": "start",
    "StopUnit": "stop",
    "RestartUnit": "restart",
    "ReloadUnit": "reload",
}


class SystemdUnits:
    """The port ``ServiceUnits`` on the system's bus.

    Each call opens a connection of its own, so an object may be shared between threads and
    outlives a restart of the bus.
    """

    def __init__(
        self,
        open_bus: OpenBus = sd_bus_open_system,
        *,
        cgroup_root: Path = CGROUP_ROOT,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_bus = open_bus
        self._cgroup_root = cgroup_root
        self._monotonic = monotonic

    def start(self, unit: str, *, timeout_seconds: float) -> None:
        """See ``ServiceUnits.start``."""
        self._finish_job("StartUnit", unit, timeout_seconds)

    def stop(self, unit: str, *, timeout_seconds: float) -> None:
        """See ``ServiceUnits.stop``."""
        self._finish_job("StopUnit", unit, timeout_seconds)

    def restart(self, unit: str, *, timeout_seconds: float) -> None:
        """See ``ServiceUnits.restart``."""
        self._finish_job("RestartUnit", unit, timeout_seconds)

    def reload(self, unit: str, *, timeout_seconds: float) -> None:
        """See ``ServiceUnits.reload``."""
        self._finish_job("ReloadUnit", unit, timeout_seconds)

    def enable(self, unit: str, *, timeout_seconds: float = CALL_TIMEOUT_SECONDS) -> None:
        """See ``ServiceUnits.enable``."""
        _require_loaded(self.state(unit))
        runtime, force = False, True  # for good, and over a link that is already there
        with connect(
            f"enable {unit}", timeout_seconds=timeout_seconds, open_bus=self._open_bus
        ) as bus:
            bus.manager("EnableUnitFiles", "asbb", [unit], runtime, force)
            bus.manager("Reload")

    def disable(self, unit: str, *, timeout_seconds: float = CALL_TIMEOUT_SECONDS) -> None:
        """See ``ServiceUnits.disable``."""
        _require_loaded(self.state(unit))
        runtime = False
        with connect(
            f"disable {unit}", timeout_seconds=timeout_seconds, open_bus=self._open_bus
        ) as bus:
            bus.manager("DisableUnitFiles", "asb", [unit], runtime)
            bus.manager("Reload")

    def kill(
        self,
        unit: str,
        *,
        signal: int,
        whom: str = "all",
        timeout_seconds: float = CALL_TIMEOUT_SECONDS,
    ) -> None:
        """See ``ServiceUnits.kill``."""
        _require_loaded(self.state(unit))
        what = f"send signal {signal} to {unit}"
        with connect(what, timeout_seconds=timeout_seconds, open_bus=self._open_bus) as bus:
            bus.manager("KillUnit", "ssi", unit, whom, signal)

    def reset_failed(self, unit: str) -> None:
        """See ``ServiceUnits.reset_failed``."""
        with connect(f"reset {unit}", open_bus=self._open_bus) as bus:
            bus.manager("ResetFailedUnit", "s", unit)

    def state(self, unit: str) -> UnitState:
        """See ``ServiceUnits.state``."""

        async def look() -> UnitState:
            with connect(f"look at {unit}", open_bus=self._open_bus) as bus:
                return await _read_state(bus, unit)

        return ask(look())

    def running(self, pattern: str) -> list[str]:
        """See ``ServiceUnits.running``."""
        with connect(f"list units like {pattern}", open_bus=self._open_bus) as bus:
            found = bus.manager("ListUnitsByPatterns", "asas", list(_UP), [pattern])
        return sorted(name for name, *_about in found)

    def usage(self, unit: str) -> UnitUsage:
        """See ``ServiceUnits.usage``."""
        with connect(f"look at {unit}", open_bus=self._open_bus) as bus:
            path = unit_path(unit)
            service = bus.properties(path, "Service")
            group = service.get("ControlGroup", "")
            found = bus.call(path, f"{NAME}.Service", "GetProcesses") if group else []
        directory = self._cgroup_root / group.lstrip("/") if group else None
        started = service.get("ExecMainStartTimestampMonotonic", 0) / _MICROSECONDS
        is_up = bool(service.get("MainPID"))
        return UnitUsage(
            pids=tuple(sorted(pid for _group, pid, _command in found)),
            main_started_at=_moment(service["ExecMainStartTimestamp"]) if is_up else None,
            main_uptime_seconds=max(0.0, self._monotonic() - started) if is_up else None,
            memory_bytes=_counted(service.get("MemoryCurrent")),
            memory_max_bytes=_counted(service.get("MemoryMax")),
            cpu_seconds=_seconds(_counted(service.get("CPUUsageNSec"))),
            cpu_quota_percent=_percent(_counted(service.get("CPUQuotaPerSecUSec"))),
            tasks=_counted(service.get("TasksCurrent")),
            tasks_max=_counted(service.get("TasksMax")),
            read_bytes=_counted(service.get("IOReadBytes")),
            written_bytes=_counted(service.get("IOWriteBytes")),
            oom_kills=memory_kills(directory),
            throttled_seconds=throttled_seconds(directory),
        )

    def backs_off(self, unit: str) -> bool:
        """See ``ServiceUnits.backs_off``."""
        with connect(f"look at {unit}", open_bus=self._open_bus) as bus:
            path = unit_path(unit)
            return bool(bus.property(path, "Service", "RestartSteps"))  # from 254 on

    def log_namespace(self, unit: str) -> str | None:
        """See ``ServiceUnits.log_namespace``."""
        with connect(f"look at {unit}", open_bus=self._open_bus) as bus:
            path = unit_path(unit)
            return bus.property(path, "Service", "LogNamespace") or None

    def _finish_job(self, member: str, unit: str, timeout_seconds: float) -> None:
        verb = _VERBS[member]

        async def finish() -> None:
            with connect(f"{verb} {unit}", open_bus=self._open_bus) as bus:
                _require_loaded(await _read_state(bus, unit))
                try:
                    async with asyncio.timeout(timeout_seconds):
                        result = await bus.job(member, unit)
                except TimeoutError:
                    raise _job_late(verb, timeout_seconds, await _read_state(bus, unit)) from None
                if result != "done":
                    raise _job_failed(verb, result, await _read_state(bus, unit))

        run(finish())


# Few properties by name: all of a service take systemd four times as long.
_OF_UNIT = (("Unit", "UnitFileState"), ("Unit", "ActiveEnterTimestamp"))
_OF_SERVICE = (
    ("Service", "Result"),
    ("Service", "MainPID"),
    ("Service", "ExecMainCode"),
    ("Service", "ExecMainStatus"),
    ("Service", "NRestarts"),
    ("Service", "StatusText"),
)


async def _read_state(bus: Bus, unit: str) -> UnitState:
    names = _OF_UNIT + (_OF_SERVICE if unit.endswith(".service") else ())
    (name, _about, load, active, sub, *_more), values = await bus.look(unit, names)
    found = {key: value for (_interface, key), value in zip(names, values, strict=True)}
    return UnitState(
        unit=name,
        load=load,
        active=active,
        sub=sub,
        file=found["UnitFileState"],
        result=found.get("Result", "success"),
        main_pid=found.get("MainPID") or None,
        exit_status=found.get("ExecMainStatus") if found.get("ExecMainCode") else None,
        restarts=found.get("NRestarts", 0),
        status_text=found.get("StatusText") or None,
        active_since=_moment(found["ActiveEnterTimestamp"]),
    )


def _counted(value: int | None) -> int | None:
    return None if value == _UNSET else value


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1_000_000_000


def _percent(microseconds_per_second: int | None) -> float | None:
    return (
        None if microseconds_per_second is None else microseconds_per_second * 100 / _MICROSECONDS
    )


def _moment(microseconds: int) -> datetime | None:
    return datetime.fromtimestamp(microseconds / _MICROSECONDS, UTC) if microseconds else None


def _require_loaded(state: UnitState) -> None:
    if state.load == "not-found":
        raise ServiceError(
            f"there is no unit {state.unit} on this host",
            hint="deploy it with the playbook, or name the right one in systemd.unit",
        )
    if state.load != "loaded":
        raise ServiceError(
            f"systemd did not load {state.unit}: it is {state.load}",
            hint=f"see: systemctl status {state.unit}",
        )


def _job_late(verb: str, seconds: float, state: UnitState) -> ServiceError:
    return ServiceError(
        f"{state.unit} did not {verb} within {seconds:g} s and is {state.active} ({state.sub})",
        hint="see what it does with: claude-flowctl logs",
    )


def _job_failed(verb: str, result: str, state: UnitState) -> ServiceError:
    status = "" if state.exit_status is None else f", exit status {state.exit_status}"
    why = f"{state.result}{status}" if result == "failed" else f"the job is {result}"
    return ServiceError(
        f"{state.unit} did not {verb}: {why}; it is {state.active}",
        hint="see why with: claude-flowctl logs",
    )
