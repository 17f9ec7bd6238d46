from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from claude_flow.systemd.notify import Notifier

_LIVE = """
import os
from claude_flow.systemd.notify import Notifier
notifier = Notifier(os.environ)
notifier.ready("polling 2 repositories")
notifier.status("one\\nREADY=1 line")
notifier.reloading()
notifier.watchdog()
notifier.stopping()
"""


class Listener:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def __call__(self, text: str) -> None:
        self.heard.append(text)


def test_a_real_socket_hears_every_message(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        environ = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "9000"}
        environ.pop("WATCHDOG_PID", None)
        subprocess.run([sys.executable, "-c", _LIVE], env=environ, check=True, timeout=30)
        heard = [listener.recv(4096).decode() for _ in range(5)]
    ready, status, reloading, watchdog, stopping = heard
    assert ready == "READY=1\nSTATUS=polling 2 repositories"
    assert status == "STATUS=one READY=1 line"
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert watchdog == "WATCHDOG=1"
    assert stopping == "STOPPING=1"


def test_reloading_tells_the_monotonic_moment_in_microseconds() -> None:
    listener = Listener()
    notifier = Notifier({"NOTIFY_SOCKET": "@x"}, send=listener, monotonic_ns=lambda: 12_345_678_999)
    notifier.reloading()
    assert listener.heard == ["RELOADING=1\nMONOTONIC_USEC=12345678"]


def test_nothing_is_said_where_nobody_listens() -> None:
    listener = Listener()
    notifier = Notifier({"WATCHDOG_USEC": "1000000"}, send=listener)
    notifier.ready("up")
    notifier.watchdog()
    notifier.stopping()
    assert listener.heard == []


def test_a_socket_that_is_gone_does_not_stop_the_daemon(caplog: pytest.LogCaptureFixture) -> None:
    def send(_text: str) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    notifier = Notifier({"NOTIFY_SOCKET": "/gone"}, send=send)
    notifier.ready()
    notifier.status("still here")
    assert caplog.text.count("Connection refused") == 1


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_interval(environ: dict[str, str], seconds: float | None) -> None:
    assert Notifier(environ, pid=7).watchdog_interval == seconds


def test_no_ping_without_a_watchdog() -> None:
    listener = Listener()
    Notifier({"NOTIFY_SOCKET": "@x"}, send=listener).watchdog()
    assert listener.heard == []
