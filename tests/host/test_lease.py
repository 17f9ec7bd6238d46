"""Attempts in units end with their host's lease, whatever becomes of the daemon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_flow.errors import LeaseLostError
from claude_flow.execution.lease import FileLease
from claude_flow.model.events import Result
from claude_flow.systemd.manager import SystemdUnits
from claude_flow.testing.attempts import STOPS_ITS_WATCHER, until
from tests.host.attempt import WAITING, Attempt, processes_of

# As stubborn as can be: what holds on must not outlive the lease.
STUBBORN = "trap '' TERM HUP INT; setsid sh -c 'while :; do sleep 1; done' & echo up; wait"
# Less than another host would wait for at the shortest time-out.
SOON_SECONDS = 5.0


def is_stopped(attempt: Attempt) -> bool:
    """Whether the watcher is."""
    stats = [Path(f"/proc/{pid}/stat").read_text() for pid in processes_of(attempt.unit)]
    return any(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)


@pytest.fixture
def lease(attempt: Attempt) -> Iterator[FileLease]:
    lease = FileLease(attempt.control.settings.units_directory / f"lease-{attempt.run_id}")
    lease.renew(lease.now() + 600)
    attempt.set_up(lease=lease)
    yield lease
    lease.path.unlink()


async def test_one_ends_at_once_where_others_have_its_run(
    attempt: Attempt, lease: FileLease
) -> None:
    running = asyncio.create_task(attempt.run("sh", "-c", STUBBORN))
    await until(lambda: attempt.output.lines == ["up"])
    revoked_at = time.monotonic()
    lease.revoke()
    with pytest.raises(LeaseLostError, match="another may take its runs over"):
        await running
    assert time.monotonic() - revoked_at < SOON_SECONDS
    assert processes_of(attempt.unit) == ()
    *_, last = attempt.news()
    assert isinstance(last.what, Result)
    assert (last.what.ok, last.what.stopped) == (False, "cut_short")


async def test_one_ends_without_its_daemon_and_is_no_attempt(
    attempt: Attempt, lease: FileLease
) -> None:
    attempt.is_wanted = True
    running = asyncio.create_task(attempt.run("sh", "-c", STUBBORN))
    await until(lambda: attempt.output.lines == ["up"])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await attempt.execution().is_begun(attempt.run_id, 1)
    over_at = lease.now() + 2
    lease.renew(over_at)
    await until(lambda: SystemdUnits().state(attempt.unit).active == "inactive")
    assert 0 <= lease.now() - over_at < SOON_SECONDS
    assert processes_of(attempt.unit) == ()
    lease.renew(lease.now() + 600)
    assert not await attempt.execution().is_begun(attempt.run_id, 1)


async def test_one_that_stopped_its_watcher_ends_with_the_next_daemon(
    attempt: Attempt, lease: FileLease
) -> None:
    attempt.is_wanted = True
    running = asyncio.create_task(attempt.run("sh", "-c", f"echo up; {STOPS_ITS_WATCHER}"))
    await until(lambda: is_stopped(attempt))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    lease.revoke()
    execution = attempt.execution()
    await asyncio.to_thread(execution.end_orphans, lambda _: True)
    assert processes_of(attempt.unit) == ()
    assert not await execution.is_begun(attempt.run_id, 1)


async def test_none_begins_without_it(attempt: Attempt, lease: FileLease) -> None:
    lease.revoke()
    with pytest.raises(LeaseLostError):
        await attempt.run(*WAITING)
    assert processes_of(attempt.unit) == ()
