"""The daemon's wait before a start, with a real manager and a real notifier."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from claude_flow.config import ConfigManager
from claude_flow.daemon.starting import wait_out_restarts
from claude_flow.service import ServiceManager
from claude_flow.systemd.notify import Notifier


class Waits:
    """Remembers how long it was asked to wait, and what systemd was told."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.told: list[str] = []

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)

    def send(self, text: str) -> None:
        self.told.append(text)


def service(tmp_path: Path, *, restarts: int) -> ServiceManager:
    path = tmp_path / "config.json"
    path.write_text("{}")
    units: Any = SimpleNamespace(
        state=lambda _unit: SimpleNamespace(restarts=restarts), backs_off=lambda _unit: False
    )
    return ServiceManager(ConfigManager.load(path, environ={}), units=units, environ={})


@pytest.fixture
def waits() -> Waits:
    return Waits()


async def test_a_fourth_restart_waits_and_asks_for_the_time(waits: Waits, tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": "@x"}, send=waits.send)
    await wait_out_restarts(service(tmp_path, restarts=4), notifier, sleep=waits.sleep)
    assert waits.seconds == [14]
    [told] = waits.told
    assert told.startswith("EXTEND_TIMEOUT_USEC=74000000\nSTATUS=")
    assert "waiting 14 s" in told


@pytest.mark.parametrize(("restarts", "environ"), [(1, {"NOTIFY_SOCKET": "@x"}), (9, {})])
async def test_a_first_restart_or_a_start_by_hand_does_not_wait(
    waits: Waits, tmp_path: Path, restarts: int, environ: dict[str, str]
) -> None:
    notifier = Notifier(environ, send=waits.send)
    await wait_out_restarts(service(tmp_path, restarts=restarts), notifier, sleep=waits.sleep)
    assert (waits.seconds, waits.told) == ([], [])
