"""Service units over D-Bus: org.freedesktop.systemd1(5)."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from sdbus import SdBus, sd_bus_open_system
from sdbus.exceptions import (
    DbusAccessDeniedError,
    DbusInteractiveAuthorizationRequiredError,
    SdBusBaseError,
    SdBusLibraryError,
    SdBusUnmappedMessageError,
)
from sdbus.sd_bus_internals import SdBusMessage

from claude_flow.errors import ServiceError
from claude_flow.ports import UnitState

_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_MANAGER = f"{_NAME}.Manager"
_UNSET = 2**64 - 1  # systemd's "not counted"
_CALL_TIMEOUT_SECONDS = 30.0

_Answer = TypeVar("_Answer")

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

    def __init__(self, open_bus: Callable[[], SdBus] = sd_bus_open_system) -> None:
        self._open_bus = open_bus

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

    def enable(self, unit: str) -> None:
        """See ``ServiceUnits.enable``."""
        runtime, force = False, True  # for good, and over a link that is already there

        async def enable(bus: _Bus) -> None:
            await bus.manager("EnableUnitFiles", "asbb", [unit], runtime, force)
            await bus.manager("Reload")

        self._with_bus(f"enable {unit}", enable)

    def disable(self, unit: str) -> None:
        """See ``ServiceUnits.disable``."""
        runtime = False

        async def disable(bus: _Bus) -> None:
            await bus.manager("DisableUnitFiles", "asb", [unit], runtime)
            await bus.manager("Reload")

        self._with_bus(f"disable {unit}", disable)

    def kill(self, unit: str, *, signal: int, whom: str = "all") -> None:
        """See ``ServiceUnits.kill``."""

        async def kill(bus: _Bus) -> None:
            await bus.manager("KillUnit", "ssi", unit, whom, signal)

        self._with_bus(f"send signal {signal} to {unit}", kill)

    def reset_failed(self, unit: str) -> None:
        """See ``ServiceUnits.reset_failed``."""

        async def reset(bus: _Bus) -> None:
            await bus.manager("ResetFailedUnit", "s", unit)

        self._with_bus(f"reset {unit}", reset)

    def state(self, unit: str) -> UnitState:
        """See ``ServiceUnits.state``."""

        async def state(bus: _Bus) -> UnitState:
            return await _read_state(bus, unit)

        return self._with_bus(f"look at {unit}", state)

    def _finish_job(self, member: str, unit: str, timeout_seconds: float) -> None:
        verb = _VERBS[member]

        async def finish(bus: _Bus) -> None:
            _require_loaded(await _read_state(bus, unit))
            try:
                async with asyncio.timeout(timeout_seconds):
                    result = await bus.job(member, unit)
            except TimeoutError:
                state = await _read_state(bus, unit)
                raise ServiceError(
                    f"{unit} did not {verb} within {timeout_seconds:g} s and is {state.active}",
                    hint=f"see what it does with: journalctl -u {unit} -e",
                ) from None
            if result != "done":
                raise _job_failed(verb, result, await _read_state(bus, unit))

        self._with_bus(f"{verb} {unit}", finish)

    def _with_bus(self, what: str, do: Callable[[_Bus], Coroutine[Any, Any, _Answer]]) -> _Answer:
        async def talk() -> _Answer:
            async with _connect(self._open_bus) as bus:
                return await do(bus)

        # A thread of its own: the caller may well be inside an event loop already.
        with ThreadPoolExecutor(1, thread_name_prefix="systemd") as pool:
            try:
                return pool.submit(asyncio.run, talk()).result()
            except SdBusBaseError as error:
                raise _refused(what, error) from error


class _Bus:
    """One connection, speaking to systemd's manager object."""

    def __init__(self, bus: SdBus) -> None:
        self._bus = bus

    async def manager(self, member: str, signature: str = "", *args: Any) -> Any:
        return await self._call(_PATH, _MANAGER, member, signature, *args)

    async def properties(self, path: str, interface: str) -> dict[str, Any]:
        answer = await self._call(
            path, "org.freedesktop.DBus.Properties", "GetAll", "s", f"{_NAME}.{interface}"
        )
        return {name: value for name, (_signature, value) in answer.items()}

    async def job(self, member: str, unit: str) -> str:
        """Ask for a job and wait for its end; systemd's word for how it ended."""
        removed: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

        def on_removed(message: SdBusMessage) -> None:
            _id, path, _unit, result = message.parse_to_tuple()
            removed.put_nowait((path, result))

        # Listen before asking: a quick job is gone before the answer is read.
        slot = await self._bus.match_signal_async(_NAME, _PATH, _MANAGER, "JobRemoved", on_removed)
        try:
            await self.manager("Subscribe")
            job = await self.manager(member, "ss", unit, "replace")
            while True:
                path, result = await removed.get()
                if path == job:
                    return result
        finally:
            slot.close()

    async def _call(
        self, path: str, interface: str, member: str, signature: str, *args: Any
    ) -> Any:
        message = self._bus.new_method_call_message(_NAME, path, interface, member)
        if signature:
            message.append_data(signature, *args)
        answer = (await self._bus.call_async(message)).parse_to_tuple()
        return answer[0] if len(answer) == 1 else answer


@asynccontextmanager
async def _connect(open_bus: Callable[[], SdBus]) -> AsyncIterator[_Bus]:
    try:
        bus = open_bus()
    except SdBusLibraryError as error:
        raise ServiceError(
            f"systemd cannot be reached over D-Bus: {_errno_text(error)}",
            hint="this host or container does not run systemd (or its bus is down); "
            "run claude-flow-service in the foreground instead",
        ) from error
    bus.method_call_timeout_usec = int(_CALL_TIMEOUT_SECONDS * 1_000_000)
    try:
        yield _Bus(bus)
    finally:
        bus.close()


def _errno_text(error: SdBusLibraryError) -> str:
    """What went wrong, out of a text that names the library's source line and an errno."""
    number = re.search(r"error number: (\d+)", str(error))
    return os.strerror(int(number[1])) if number else str(error)


async def _read_state(bus: _Bus, unit: str) -> UnitState:
    path = await bus.manager("LoadUnit", "s", unit)
    about = await bus.properties(path, "Unit")
    service = await bus.properties(path, "Service") if unit.endswith(".service") else {}
    return UnitState(
        unit=about["Id"],
        load=about["LoadState"],
        active=about["ActiveState"],
        sub=about["SubState"],
        file=about["UnitFileState"],
        result=service.get("Result", "success"),
        main_pid=service.get("MainPID") or None,
        exit_status=service.get("ExecMainStatus") if service.get("ExecMainCode") else None,
        restarts=service.get("NRestarts", 0),
        status_text=service.get("StatusText") or None,
        active_since=_moment(about["ActiveEnterTimestamp"]),
        memory_bytes=_counted(service.get("MemoryCurrent")),
        cpu_seconds=_seconds(_counted(service.get("CPUUsageNSec"))),
        tasks=_counted(service.get("TasksCurrent")),
    )


def _counted(value: int | None) -> int | None:
    return None if value == _UNSET else value


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1_000_000_000


def _moment(microseconds: int) -> datetime | None:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC) if microseconds else None


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


def _job_failed(verb: str, result: str, state: UnitState) -> ServiceError:
    status = "" if state.exit_status is None else f", exit status {state.exit_status}"
    why = f"{state.result}{status}" if result == "failed" else f"the job is {result}"
    return ServiceError(
        f"{state.unit} did not {verb}: {why}; it is {state.active}",
        hint=f"see why with: journalctl -u {state.unit} -e",
    )


def _refused(what: str, error: SdBusBaseError) -> ServiceError:
    denied = (DbusAccessDeniedError, DbusInteractiveAuthorizationRequiredError)
    if isinstance(error, denied):
        return ServiceError(f"systemd does not let this user {what}", hint="try it with sudo")
    # Unmapped errors hold the error's name before its text.
    texts = error.args[1:] if isinstance(error, SdBusUnmappedMessageError) else error.args
    text = " ".join(str(part) for part in texts) or type(error).__name__
    return ServiceError(
        f"systemd refused to {what}: {text}",
        hint="systemd's own journal may say more: journalctl -b _PID=1 -e",
    )
