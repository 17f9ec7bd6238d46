"""A private message bus with the fake systemd on it, for as long as a test needs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

_CONFIG = """\
<busconfig>
  <type>session</type>
  <auth>EXTERNAL</auth>
  <listen>unix:path={socket}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
_END_SECONDS = 20


@contextmanager
def message_bus(directory: Path) -> Iterator[dict[str, str]]:
    """Run a bus with nobody on it; give the environment by which programs reach it.

    Its socket is made in ``directory``, whose path must be short (about 90 characters).
    """
    with ExitStack() as ending:
        yield {"DBUS_SYSTEM_BUS_ADDRESS": _start_bus(directory, ending)}


@contextmanager
def fake_systemd(
    directory: Path,
    units: Mapping[str, Sequence[str]],
    *,
    notify: Sequence[str] = (),
    protected: Sequence[str] = (),
    missing: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Iterator[dict[str, str]]:
    """Run a bus and the fake on it; give the environment by which programs reach them.

    ``units`` are names and commands; those in ``notify`` are Type=notify, those in
    ``protected`` the caller may not manage; those in ``missing`` have no file. The
    commands run in ``environ``. The bus's socket is made in ``directory``, whose path must be
    short (about 90 characters).
    """
    with ExitStack() as ending:
        reach = ending.enter_context(message_bus(directory))
        argv = [sys.executable, "-m", "claude_flow.testing.fake_systemd"]
        for name, command in units.items():
            argv += ["--unit", f"{name}={json.dumps(list(command))}"]
        for name in notify:
            argv += ["--notify", name]
        for name in protected:
            argv += ["--protected", name]
        for name in missing:
            argv += ["--missing", name]
        manager = subprocess.Popen(
            argv, env={**environ, **reach}, stdout=subprocess.PIPE, text=True
        )
        ending.callback(_end, manager)
        _require_line(manager, "the fake systemd")
        yield reach


def _start_bus(directory: Path, ending: ExitStack) -> str:
    config = directory / "bus.conf"
    config.write_text(_CONFIG.format(socket=directory / "bus.sock"))
    bus = subprocess.Popen(
        [_dbus_daemon(), f"--config-file={config}", "--nofork", "--nopidfile", "--print-address"],
        stdout=subprocess.PIPE,
        text=True,
    )
    ending.callback(_end, bus)
    _require_line(bus, "the message bus")
    return f"unix:path={directory / 'bus.sock'}"


def _require_line(process: subprocess.Popen[str], what: str) -> None:
    if process.stdout is None or not process.stdout.readline():
        raise RuntimeError(f"{what} did not start; its own words are on standard error")


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _dbus_daemon() -> str:
    found = shutil.which("dbus-daemon")
    if found is None and os.geteuid() == 0 and (apt := shutil.which("apt-get")):
        subprocess.run(
            [apt, "install", "-y", "-qq", "--no-install-recommends", "dbus-daemon"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        found = shutil.which("dbus-daemon")
    if found is None:
        raise RuntimeError("dbus-daemon is missing: apt-get install dbus-daemon")
    return found
