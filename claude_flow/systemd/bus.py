"""A connection to systemd's manager on the system's bus: org.freedesktop.systemd1(5)."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from sdbus import SdBus, sd_bus_open_system
from sdbus.exceptions import (
    DbusAccessDeniedError,
    DbusDisconnectedError,
    DbusInteractiveAuthorizationRequiredError,
    DbusNameHasNoOwnerError,
    DbusNoReplyError,
    DbusServiceUnknownError,
    DbusTimeoutError,
    DbusUnknownPropertyError,
    SdBusBaseError,
    SdBusLibraryError,
    SdBusUnmappedMessageError,
)
from sdbus.sd_bus_internals import SdBusMessage
from systemd import daemon

from claude_flow.errors import ServiceError

NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_MANAGER = f"{NAME}.Manager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
CALL_TIMEOUT_SECONDS = 30.0
# A bus that went away sends no signal: the wait for one asks now and then.
_PING_SECONDS = 2.0

OpenBus = Callable[[], SdBus]
_Answer = TypeVar("_Answer")


class Bus:
    """One connection, speaking to systemd; for one thread at a time."""

    def __init__(self, bus: SdBus) -> None:
        self._bus = bus

    def manager(self, member: str, signature: str = "", *args: Any) -> Any:
        """Call a method of the manager and wait for its answer."""
        return self.call(_PATH, _MANAGER, member, signature, *args)

    def property(self, path: str, interface: str, name: str) -> Any:
        """One property; None where this systemd does not know it."""
        try:
            _type, value = self.call(path, _PROPERTIES, "Get", "ss", f"{NAME}.{interface}", name)
        except DbusUnknownPropertyError:
            return None
        return value

    async def look(self, unit: str, names: Sequence[tuple[str, str]]) -> tuple[Any, list[Any]]:
        """A unit's entry in the list of units, and properties by interface and name.

        Asked for all at once: it takes one round trip.
        """
        path = unit_path(unit)
        asked = [self._message(_PATH, _MANAGER, "ListUnitsByNames", "as", [unit])]
        asked += [
            self._message(path, _PROPERTIES, "Get", "ss", f"{NAME}.{interface}", name)
            for interface, name in names
        ]
        answers = await asyncio.gather(*(self._bus.call_async(message) for message in asked))
        [entry] = _content(answers[0])
        return entry, [_content(answer)[1] for answer in answers[1:]]

    def properties(self, path: str, interface: str) -> dict[str, Any]:
        """All properties of an interface. Far dearer than a few by name."""
        answer = self.call(path, _PROPERTIES, "GetAll", "s", f"{NAME}.{interface}")
        return {name: value for name, (_type, value) in answer.items()}

    def call(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        *args: Any,
        destination: str = NAME,
    ) -> Any:
        """Call a method, systemd's if no other ``destination`` is named; wait for its answer."""
        message = self._message(path, interface, member, signature, *args, destination=destination)
        return _content(self._bus.call(message))

    async def job(self, member: str, unit: str) -> str:
        """Ask for a job and wait for its end; systemd's word for how it ended."""
        removed: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

        def on_removed(message: SdBusMessage) -> None:
            _id, path, _unit, result = message.parse_to_tuple()
            removed.put_nowait((path, result))

        # Listen before asking: a quick job is gone before the answer is read.
        slot = await self._bus.match_signal_async(NAME, _PATH, _MANAGER, "JobRemoved", on_removed)
        try:
            await self._call_async(_PATH, _MANAGER, "Subscribe", "")
            job = await self._call_async(_PATH, _MANAGER, member, "ss", unit, "replace")
            while True:
                try:
                    path, result = await asyncio.wait_for(removed.get(), _PING_SECONDS)
                except TimeoutError:
                    await self._call_async(_PATH, "org.freedesktop.DBus.Peer", "Ping", "")
                    continue
                if path == job:
                    return result
        finally:
            slot.close()

    async def _call_async(
        self, path: str, interface: str, member: str, signature: str, *args: Any
    ) -> Any:
        message = self._message(path, interface, member, signature, *args)
        return _content(await self._bus.call_async(message))

    def _message(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str,
        *args: Any,
        destination: str = NAME,
    ) -> SdBusMessage:
        message = self._bus.new_method_call_message(destination, path, interface, member)
        if signature:
            message.append_data(signature, *args)
        return message


def unit_path(unit: str) -> str:
    """The object of a unit; asking it for something loads the unit."""
    escaped = "".join(
        char
        if char.isascii() and char.isalnum() and (place or not char.isdigit())
        else _hexed(char)
        for place, char in enumerate(unit)
    )
    return f"{_PATH}/unit/{escaped}"


def _hexed(char: str) -> str:
    """A character as systemd writes it into object paths."""
    return "".join(f"_{byte:02x}" for byte in char.encode())


def run(work: Coroutine[Any, Any, _Answer]) -> _Answer:
    """Do it on an event loop of its own and wait, whether or not one runs in this thread."""
    return _apart(partial(asyncio.run, work))


def ask(work: Coroutine[Any, Any, _Answer]) -> _Answer:
    """As ``run``, for what leaves no task behind: clearing up would take as long as asking."""

    def on_bare_loop() -> _Answer:
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(work)
        finally:
            loop.close()

    return _apart(on_bare_loop)


def _apart(do: Callable[[], _Answer]) -> _Answer:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return do()
    with ThreadPoolExecutor(1, thread_name_prefix="systemd") as pool:
        return pool.submit(do).result()


def _content(answer: SdBusMessage) -> Any:
    parts = answer.parse_to_tuple()
    return parts[0] if len(parts) == 1 else parts


@contextmanager
def connect(
    what: str,
    *,
    timeout_seconds: float = CALL_TIMEOUT_SECONDS,
    open_bus: OpenBus = sd_bus_open_system,
) -> Iterator[Bus]:
    """A connection for as long as the block runs.

    ``what`` names what it is for in errors: "start claude-flow.service". Each call gets
    ``timeout_seconds`` for its answer. Raises ServiceError, also for what the calls inside the
    block raise.
    """
    try:
        bus = open_bus()
    except SdBusLibraryError as error:
        raise _unreachable(error) from error
    bus.method_call_timeout_usec = int(timeout_seconds * 1_000_000)
    try:
        yield Bus(bus)
    except SdBusBaseError as error:
        raise _refused(what, error, timeout_seconds) from error
    finally:
        bus.close()


def _unreachable(error: SdBusLibraryError) -> ServiceError:
    message = f"systemd cannot be reached over D-Bus: {_errno_text(error)}"
    if daemon.booted():
        return ServiceError(
            message, hint="systemd runs, but its message bus is down: systemctl restart dbus.socket"
        )
    return ServiceError(
        message,
        hint="this host or container does not run systemd; "
        "run claude-flow-service in the foreground instead",
    )


def _errno_text(error: SdBusLibraryError) -> str:
    """What went wrong, out of a text that names the library's source line and an errno."""
    number = re.search(r"error number: (\d+)", str(error))
    return os.strerror(int(number[1])) if number else str(error)


def _refused(what: str, error: SdBusBaseError, timeout_seconds: float) -> ServiceError:
    if isinstance(error, (DbusAccessDeniedError, DbusInteractiveAuthorizationRequiredError)):
        return ServiceError(
            f"systemd does not let this user {what}",
            hint="try it with sudo, or allow it by a polkit rule",
        )
    if isinstance(error, (DbusServiceUnknownError, DbusNameHasNoOwnerError)):
        return ServiceError(
            f"cannot {what}: there is a message bus, but no systemd on it",
            hint="this host or container does not run systemd; "
            "run claude-flow-service in the foreground instead",
        )
    if isinstance(error, (DbusNoReplyError, DbusTimeoutError)):
        return ServiceError(
            f"cannot {what}: systemd gave no answer within {timeout_seconds:g} s",
            hint="it may be busy: try again; see: journalctl -b _PID=1 -e",
        )
    if isinstance(error, (SdBusLibraryError, DbusDisconnectedError)):
        text = _errno_text(error) if isinstance(error, SdBusLibraryError) else str(error)
        return ServiceError(
            f"the message bus went away while it was asked to {what}: {text}",
            hint="what was begun goes on; look with: claude-flowctl status",
        )
    # Unmapped errors hold the error's name before its text.
    texts = error.args[1:] if isinstance(error, SdBusUnmappedMessageError) else error.args
    text = " ".join(str(part) for part in texts) or type(error).__name__
    return ServiceError(
        f"systemd refused to {what}: {text}",
        hint="systemd's own journal may say more: journalctl -b _PID=1 -e",
    )
