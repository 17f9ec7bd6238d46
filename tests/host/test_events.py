"""The events of attempts in units, read while they are written."""

from __future__ import annotations

import asyncio
import stat

import pytest

from claude_flow.execution.spec import AttemptFiles
from claude_flow.model.events import Output, Result, Started
from claude_flow.testing.attempts import until
from tests.host.attempt import STATE, Attempt

WAITS = "echo one; while [ ! -e go ]; do sleep 0.05; done; echo two; exit 3"


async def told(attempt: Attempt, number: int) -> list[object]:
    """What happens next, once there is as much of it."""
    found: list[object] = []

    def is_there() -> bool:
        found.extend(event.what for event in attempt.news())
        return len(found) >= number

    await until(is_there)
    return found


async def test_they_are_told_while_they_happen(attempt: Attempt) -> None:
    running = asyncio.create_task(attempt.run("sh", "-c", WAITS))
    assert await told(attempt, 2) == [Started(), Output("one")]
    assert attempt.news() == []
    (attempt.workspace / "go").touch()
    output, result = await told(attempt, 2)
    assert output == Output("two")
    assert isinstance(result, Result)
    assert (result.ok, result.exit_code, result.stopped) == (False, 3, None)
    assert (await running).exit_code == 3
    assert attempt.news() == []


async def test_they_go_on_with_the_next_daemon_and_each_is_told_once(attempt: Attempt) -> None:
    attempt.is_wanted = True
    first = asyncio.create_task(attempt.run("sh", "-c", WAITS))
    assert await told(attempt, 2) == [Started(), Output("one")]
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await attempt.execution().is_begun(attempt.run_id, 1)
    second = asyncio.create_task(attempt.run("sh", "-c", WAITS))
    (attempt.workspace / "go").touch()
    output, result = await told(attempt, 2)
    assert output == Output("two")
    assert isinstance(result, Result)
    assert (await second).exit_code == 3
    assert attempt.news() == []


async def test_they_are_the_services_own(attempt: Attempt) -> None:
    await attempt.run("true")
    path = AttemptFiles.events_of(STATE / "runs", attempt.run_id, 1)
    about = path.stat()
    assert (path.owner(), stat.S_IMODE(about.st_mode) & 0o027) == ("claude-flow", 0)
