"""A unit's main process, which really runs, and what systemd would say about it."""

from __future__ import annotations

import asyncio
import signal
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from claude_flow.testing.fake_systemd.answers import NoSuchUnitError

_STOP_SECONDS = 10.0
_CLD_EXITED, _CLD_KILLED = 1, 2


@dataclass
class UnitFile:
    """What the fake knows of a unit. ``protected`` ones may not be managed by the caller."""

    name: str
    argv: Sequence[str] = ()
    is_notify: bool = False
    is_protected: bool = False
    is_enabled: bool = False


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
