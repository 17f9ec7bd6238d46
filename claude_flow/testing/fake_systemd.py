"""A stand-in for systemd's manager on a bus of its own, for hosts where systemd is not PID 1.

It answers org.freedesktop.systemd1 for the units it is given and really runs their commands:
a start waits for READY=1, a reload sends SIGHUP, a stop SIGTERM. Programs reach it through
DBUS_SYSTEM_BUS_ADDRESS::

    python -m claude_flow.testing.fake_systemd --unit demo.service='["sleep", "60"]'
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from sdbus import (
    DbusInterfaceCommonAsync,
    SdBus,
    dbus_method_async,
    dbus_property_async,
    dbus_signal_async,
    get_current_message,
    sd_bus_open_system,
)
from sdbus.exceptions import DbusFailedError, DbusInteractiveAuthorizationRequiredError

_ROOT = "/org/freedesktop/systemd1"
_NAME = "org.freedesktop.systemd1"
_UNSET = 2**64 - 1
_STOP_SECONDS = 10.0
_CLD_EXITED, _CLD_KILLED = 1, 2


class NoSuchUnitError(DbusFailedError):
    """The unit is not in memory: nothing runs of it and nothing is left to tell."""

    dbus_error_name = f"{_NAME}.NoSuchUnit"


class NotApplicableError(DbusFailedError):
    """The job makes no sense for the unit as it is."""

    dbus_error_name = f"{_NAME}.JobTypeNotApplicable"


@dataclass
class UnitFile:
    """What the fake knows of a unit. ``protected`` ones may not be managed by the caller."""

    name: str
    argv: Sequence[str] = ()
    is_notify: bool = False
    is_protected: bool = False
    is_enabled: bool = False


class _UnitProperties(DbusInterfaceCommonAsync, interface_name=f"{_NAME}.Unit"):
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


class _Unit(_UnitProperties, interface_name=f"{_NAME}.Service"):
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


class Process:
    """A unit's main process and what systemd would say about it."""

    def __init__(self, file: UnitFile, environ: Mapping[str, str]) -> None:
        self.file = file
        self.active = "inactive"
        self.result = "success"
        self.pid = 0
        self.exit_code = 0
        self.exit_status = 0
        self.status_text = ""
        self.active_since = 0
        self.started_at = 0
        self.started_monotonic = 0
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def start(self) -> str:
        """Run the command; the job's result."""
        if self._process is not None:
            return "done"
        self.active, self.result, self.status_text = "activating", "success", ""
        self._ready.clear()
        directory = tempfile.TemporaryDirectory(prefix="notify-")
        address = str(Path(directory.name) / "socket")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        listener.bind(address)
        self._process = await asyncio.create_subprocess_exec(
            *self.file.argv, env={**self._environ, "NOTIFY_SOCKET": address}
        )
        self.pid = self._process.pid
        self.started_at = time.time_ns() // 1000
        self.started_monotonic = time.monotonic_ns() // 1000
        if not self.file.is_notify:
            self._ready.set()
        ready = asyncio.create_task(self._ready.wait())
        self._watcher = asyncio.create_task(self._watch(self._process, listener, directory))
        await asyncio.wait({ready, self._watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            return "failed" if self.result != "success" else "canceled"
        self.active, self.active_since = "active", time.time_ns() // 1000
        return "done"

    async def stop(self) -> str:
        """End the process; the job's result."""
        if self._process is None or self._watcher is None:
            return "done"  # what has failed stays failed
        self.active = "deactivating"
        self._process.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(self._watcher), _STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._watcher
        return "done"

    async def reload(self) -> str:
        """Send SIGHUP; the job's result."""
        self.kill(signal.SIGHUP)
        return "done"

    def kill(self, number: int) -> None:
        """Send a signal to the process."""
        if self._process is None:
            raise NoSuchUnitError(f"Unit {self.file.name} not loaded.")
        self._process.send_signal(number)

    def forget_failure(self) -> None:
        """Make a failed unit an inactive one."""
        if self.active == "failed":
            self.active, self.result = "inactive", "success"

    async def _listen(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            message = (await loop.sock_recv(listener, 4096)).decode()
            for line in message.splitlines():
                name, _, value = line.partition("=")
                if name == "STATUS":
                    self.status_text = value
                elif name == "READY":
                    self._ready.set()

    async def _watch(
        self,
        process: asyncio.subprocess.Process,
        listener: socket.socket,
        directory: tempfile.TemporaryDirectory[str],
    ) -> None:
        listening = asyncio.create_task(self._listen(listener))
        code = await process.wait()
        listening.cancel()
        await asyncio.wait({listening})
        listener.close()
        directory.cleanup()
        self.exit_code, self.exit_status = (
            (_CLD_EXITED, code) if code >= 0 else (_CLD_KILLED, -code)
        )
        is_fine = code == 0 or -code == signal.SIGTERM
        if not is_fine:
            self.result = "exit-code" if code > 0 else "signal"
        self.active = "inactive" if is_fine else "failed"
        self._process, self.pid = None, 0


class Manager(DbusInterfaceCommonAsync, interface_name=f"{_NAME}.Manager"):
    """The manager object, as far as claude-flow asks it for anything."""

    def __init__(
        self, bus: SdBus, files: Mapping[str, UnitFile], environ: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._bus = bus
        self._files = files
        self._environ = environ
        self._units: dict[str, _Unit] = {}
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
        found = []
        for name in names:
            unit = self._unit(name)
            path = _unit_path(name)
            about = (name, name, unit.load, unit.process.active, unit.sub, "", path)
            found.append((*about, 0, "", "/"))
        return found

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

    def _unit(self, name: str) -> _Unit:
        if name not in self._units:
            file = self._files.get(name, UnitFile(name))
            unit = _Unit(Process(file, self._environ))
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
        return f"{_ROOT}/job/{number}"

    async def _work(self, number: int, process: Process, verb: str, *, is_heard: bool) -> None:
        if verb in {"stop", "restart"}:
            result = await process.stop()
        if verb in {"start", "restart"}:
            result = await process.start()
        if verb == "reload":
            result = await process.reload()
        if is_heard:
            path = f"{_ROOT}/job/{number}"
            self.job_removed.emit((number, path, process.file.name, result))
        del self._jobs[number]


def _descendants(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _sender() -> str:
    return get_current_message().sender or ""


def _unit_path(name: str) -> str:
    safe = "".join(char if char.isalnum() else f"_{ord(char):02x}" for char in name)
    return f"{_ROOT}/unit/{safe}"


async def serve(files: Sequence[UnitFile], environ: Mapping[str, str]) -> None:
    """Answer on the bus that DBUS_SYSTEM_BUS_ADDRESS names until SIGTERM or SIGINT."""
    bus = sd_bus_open_system()
    manager = Manager(bus, {file.name: file for file in files}, environ)
    manager.export_to_dbus(_ROOT, bus)
    await bus.request_name_async(_NAME, 0)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stop.wait()
    await manager.end()
    bus.close()


def main() -> None:
    """Read the units from the command line and serve them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--unit", action="append", default=[], metavar="NAME=ARGV-AS-JSON")
    parser.add_argument("--notify", action="append", default=[], metavar="NAME")
    parser.add_argument("--protected", action="append", default=[], metavar="NAME")
    parser.add_argument("--missing", action="append", default=[], metavar="NAME")
    chosen = parser.parse_args()
    files = [UnitFile(name) for name in chosen.missing]
    for text in chosen.unit:
        name, _, argv = text.partition("=")
        files.append(
            UnitFile(name, json.loads(argv), name in chosen.notify, name in chosen.protected)
        )
    asyncio.run(serve(files, os.environ))


if __name__ == "__main__":
    main()
