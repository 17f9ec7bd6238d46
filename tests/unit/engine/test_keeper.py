from __future__ import annotations

import logging
import threading

import pytest

from claude_flow.engine.keeper import Keeper
from claude_flow.errors import EngineError

PATIENCE_SECONDS = 10.0


def test_it_ticks_until_it_is_stopped() -> None:
    ticks = threading.Semaphore(0)
    keeper = Keeper(0.001, ticks.release)
    keeper.start()
    assert ticks.acquire(timeout=PATIENCE_SECONDS)
    assert ticks.acquire(timeout=PATIENCE_SECONDS)
    keeper.check()
    keeper.stop()
    with pytest.raises(EngineError, match="does not tick"):
        keeper.check()


def test_an_outage_is_told_once_and_lived_through(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(len(ticks))
        if len(ticks) == 5:
            done.set()
        if len(ticks) < 4:
            raise EngineError("the database is away")

    keeper = Keeper(0.001, tick)
    with caplog.at_level(logging.WARNING):
        keeper.start()
        assert done.wait(PATIENCE_SECONDS)
        keeper.stop()
    assert [record.message for record in caplog.records] == ["the database is away"]
