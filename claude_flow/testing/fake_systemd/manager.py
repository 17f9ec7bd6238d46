"""The manager's object on the bus: jobs and the units they are about."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from fnmatch import fnmatchcase

from sdbus import (
    DbusInterfaceCommonAsync,
    SdBus,
    dbus_method_async,
    dbus_signal_async,
    get_current_message,
)
from sdbus.exceptions import DbusInteractiveAuthorizationRequiredError

from claude_flow.testing.fake_systemd.answers import NAME, ROOT, NotApplicableError
from claude_flow.testing.fake_systemd.process import Process, UnitFile
from claude_flow.testing.fake_systemd.unit import Unit


class Manager(DbusInterfaceCommonAsync, interface_name=f"{NAME}.Manager"):
    """The manager object, as far as claude-flow asks it for anything."""

    def __init__(
        self, bus: SdBus, files: Mapping[str, UnitFile], environ: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._bus = bus
        self._files = files
        self._environ = environ
        self._units: dict[str, Unit] = {}
        self._jobs: dict[int, asyncio.Task[None]] = {}
        self._job_number = 0
        self._subscribers: set[str] = set()
        for name in files:
            self._unit(name)  # the real one makes a unit's object when it is first asked

    @dbus_method_async("as", "a(ssssssouso)")
    async def list_units_by_names(
        self, names: list[str]
    ) -> list[tuple[str, str, str, str, str, str, str, int, str, str]]:
        """The units in short; those that do not exist are "not-found"."""
        return [self._about(name) for name in names]

    @dbus_method_async("asas", "a(ssssssouso)")
    async def list_units_by_patterns(
        self, states: list[str], patterns: list[str]
    ) -> list[tuple[str, str, str, str, str, str, str, int, str, str]]:
        """The units in short that match and are in one of the states."""
        names = [
            name
            for name, unit in self._units.items()
            if unit.process.active in states
            and any(fnmatchcase(name, pattern) for pattern in patterns)
        ]
        return [self._about(name) for name in names]

    @dbus_method_async("s", "o")
    async def load_unit(self, name: str) -> str:
        """The object of a unit, which need not exist."""
        self._unit(name)
        return _unit_path(name)

    @dbus_method_async()
    async def subscribe(self) -> None:
        """Send this client signals from now on."""
        self._subscribers.add(_sender())

    @dbus_method_async("ss", "o")
    async def start_unit(self, name: str, _mode: str) -> str:
        """Begin a start."""
        return self._job(name, "start")

    @dbus_method_async("ss", "o")
    async def stop_unit(self, name: str, _mode: str) -> str:
        """Begin a stop."""
        return self._job(name, "stop")

    @dbus_method_async("ss", "o")
    async def restart_unit(self, name: str, _mode: str) -> str:
        """Begin a stop and a start."""
        return self._job(name, "restart")

    @dbus_method_async("ss", "o")
    async def reload_unit(self, name: str, _mode: str) -> str:
        """Begin a reload."""
        if self._managed(name).active != "active":
            raise NotApplicableError(f"Unit {name} is not active.")
        return self._job(name, "reload")

    @dbus_method_async("ssi")
    async def kill_unit(self, name: str, _whom: str, number: int) -> None:
        """Send a signal."""
        self._managed(name).kill(number)

    @dbus_method_async("s")
    async def reset_failed_unit(self, name: str) -> None:
        """Forget a failure."""
        self._managed(name).forget_failure()

    @dbus_method_async("asbb", "ba(sss)")
    async def enable_unit_files(
        self,
        names: list[str],
        _runtime: bool,  # noqa: FBT001 - the signature is systemd's
        _force: bool,  # noqa: FBT001 - likewise
    ) -> tuple[bool, list[tuple[str, str, str]]]:
        """Link units into the boot."""
        for name in names:
            self._managed(name).file.is_enabled = True
        return True, [("symlink", f"/wants/{name}", f"/{name}") for name in names]

    @dbus_method_async("asb", "a(sss)")
    async def disable_unit_files(
        self,
        names: list[str],
        _runtime: bool,  # noqa: FBT001 - the signature is systemd's
    ) -> list[tuple[str, str, str]]:
        """Take units out of the boot."""
        for name in names:
            self._managed(name).file.is_enabled = False
        return [("unlink", f"/wants/{name}", "") for name in names]

    @dbus_method_async()
    async def reload(self) -> None:
        """Read the unit files anew."""

    @dbus_signal_async("uoss")
    def job_removed(self) -> tuple[int, str, str, str]:
        """A job has ended."""
        raise NotImplementedError

    async def end(self) -> None:
        """Stop every unit."""
        for unit in self._units.values():
            await unit.process.stop()

    def _about(self, name: str) -> tuple[str, str, str, str, str, str, str, int, str, str]:
        unit = self._unit(name)
        state = (unit.load, unit.process.active, unit.sub)
        return (name, name, *state, "", _unit_path(name), 0, "", "/")

    def _unit(self, name: str) -> Unit:
        if name not in self._units:
            file = self._files.get(name, UnitFile(name))
            unit = Unit(Process(file, self._environ))
            unit.export_to_dbus(_unit_path(name), self._bus)
            self._units[name] = unit
        return self._units[name]

    def _managed(self, name: str) -> Process:
        process = self._unit(name).process
        if process.file.is_protected:
            raise DbusInteractiveAuthorizationRequiredError("Interactive authentication required.")
        return process

    def _job(self, name: str, verb: str) -> str:
        process = self._managed(name)
        self._job_number += 1
        number = self._job_number
        is_heard = _sender() in self._subscribers
        work = self._work(number, process, verb, is_heard=is_heard)
        self._jobs[number] = asyncio.create_task(work)
        return f"{ROOT}/job/{number}"

    async def _work(self, number: int, process: Process, verb: str, *, is_heard: bool) -> None:
        if verb in {"stop", "restart"}:
            result = await process.stop()
        if verb in {"start", "restart"}:
            result = await process.start()
        if verb == "reload":
            result = await process.reload()
        if is_heard:
            path = f"{ROOT}/job/{number}"
            self.job_removed.emit((number, path, process.file.name, result))
        del self._jobs[number]


def _sender() -> str:
    return get_current_message().sender or ""


def _unit_path(name: str) -> str:
    safe = "".join(char if char.isalnum() else f"_{ord(char):02x}" for char in name)
    return f"{ROOT}/unit/{safe}"
