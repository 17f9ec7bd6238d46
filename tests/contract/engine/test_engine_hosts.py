"""Several hosts on one PostgreSQL database."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from claude_flow.engine.durable import DurableEngine
from claude_flow.errors import EXIT_TRY_AGAIN, EngineError, StateInUseError
from claude_flow.execution.lease import LEASE_FILE, held_until, since_boot
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Run, RunState, Trigger, TriggerKind
from claude_flow.model.transitions import AttemptStarted
from claude_flow.ports import Steps

QUICK_SECONDS = 20.0

Until = Callable[[Callable[[], object]], None]


async def nothing(_run_id: str, _number: int, _steps: Steps) -> None:
    """No work: these hosts are given none."""


def _most_at_once(said: list[list[str]], key: Callable[[str, str], str]) -> int:
    """The most runs with the same key that were under way at one time."""
    busy: Counter[str] = Counter()
    most = 0
    for what, run_id, host in said:
        if what == "0":
            busy[key(run_id, host)] += 1
            most = max(most, *busy.values())
        elif what == "end":
            busy[key(run_id, host)] -= 1
    return most


def test_two_hosts_share_the_work_and_the_limits(shared: Any) -> None:
    issues = [f"octo/{name}#{number}" for name in ("a", "b", "c") for number in (1, 2, 3)]
    first = shared.start(*issues, host="one", runs=2, step_seconds=0.05, times=50)
    second = shared.start(*issues, host="two", runs=2, step_seconds=0.05, times=50)
    assert first.wait(timeout=60) == 0
    assert second.wait(timeout=60) == 0

    assert [run.state for run in shared.runs()] == [RunState.SUCCEEDED] * len(issues)
    said = shared.said
    counts = Counter(line[0] for line in said)
    assert (counts["submitted"], counts["end"]) == (len(issues), len(issues))
    assert _most_at_once(said, lambda run_id, _host: run_id.split("-")[0]) == 1
    assert _most_at_once(said, lambda _run_id, host: host) <= 2
    assert {host for what, _run, host in said if what == "end"} == {"one", "two"}


def test_a_dead_hosts_work_is_taken_over(shared: Any, until: Until) -> None:
    dying = shared.start("octo/a#1", host="one", step_seconds=0.5)
    until(lambda: any(line[0] == "1" for line in shared.said))
    dying.kill()
    dying.wait()
    assert shared.start(host="two").wait(timeout=30) == 0

    (run,) = shared.runs()
    assert (run.state, len(run.attempts)) == (RunState.SUCCEEDED, 1)
    steps = [(what, host) for what, _run, host in shared.said if what.isdigit()]
    assert steps == [("0", "one"), ("1", "one"), ("1", "two"), ("2", "two"), ("3", "two")]


@pytest.fixture
def quick(shared: Any) -> Any:
    """Hosts that wait as briefly for one another as leaves them a lease at all."""
    shared.host_timeout_seconds = QUICK_SECONDS
    return shared


def test_a_frozen_hosts_lease_is_over_before_its_work_is_taken(quick: Any, until: Until) -> None:
    def begun_by_two() -> bool:
        return ["0", "two"] in [[what, host] for what, _run, host in quick.said]

    frozen = quick.start("octo/a#1", host="one", step_seconds=600)
    until(lambda: any(line[0] == "0" for line in quick.said))
    other = quick.start(host="two", step_seconds=3)
    until(lambda: ["up", "-", "two"] in quick.said)
    lease = quick.place.settings(host="one").state_directory / LEASE_FILE
    assert since_boot() < held_until(lease)
    frozen.send_signal(signal.SIGSTOP)
    until(lambda: since_boot() >= held_until(lease))
    assert not begun_by_two()
    until(begun_by_two)
    frozen.send_signal(signal.SIGCONT)
    assert frozen.wait(timeout=30) == EXIT_TRY_AGAIN
    assert other.wait(timeout=60) == 0
    (run,) = quick.runs()
    assert (run.state, len(run.attempts)) == (RunState.SUCCEEDED, 1)
    assert [host for what, _run, host in quick.said if what == "end"] == ["two"]
    assert held_until(lease) == 0, "it was revoked"


def test_a_host_without_its_database_holds_no_lease(
    quick: Any, launched_postgresql: Any, until: Until
) -> None:
    daemon = quick.start("octo/a#1", host="one", step_seconds=600)
    until(lambda: any(line[0] == "0" for line in quick.said))
    lease = quick.place.settings(host="one").state_directory / LEASE_FILE
    launched_postgresql.stop()
    try:
        until(lambda: since_boot() >= held_until(lease))
        assert daemon.poll() is None
    finally:
        launched_postgresql.start()
    until(lambda: since_boot() < held_until(lease))


def test_who_was_taken_for_dead_changes_no_run(shared: Any) -> None:
    settings = replace(shared.place.settings(host="one"), poll_seconds=600)
    engine = DurableEngine(settings)
    engine.launch(nothing)
    try:
        issue = IssueRef.parse("octo/a#1")
        now = datetime.now(UTC)
        run = Run.queued(issue, Trigger(TriggerKind.CLI, "1"), now)
        assert engine.submit(run)
        with psycopg.connect(shared.place.database_url) as connection:
            connection.execute("DELETE FROM claude_flow.hosts")
        with pytest.raises(StateInUseError, match="its work was taken over"):
            engine.apply(run.id, AttemptStarted(1, now))
        with pytest.raises(StateInUseError, match="its work was taken over"):
            engine.retry(run.id, 2, 0)
        found = engine.get(run.id)
        assert found is not None
        assert found.state is RunState.QUEUED
    finally:
        engine.close(grace_seconds=0)


def test_hosts_of_an_earlier_release_are_given_their_own_time(shared: Any) -> None:
    with psycopg.connect(shared.place.database_url) as connection:
        connection.execute("ALTER TABLE claude_flow.hosts DROP COLUMN timeout_seconds")
        connection.execute("INSERT INTO claude_flow.hosts VALUES ('old', now())")
    engine = DurableEngine(shared.place.settings(host="one"))
    engine.launch(nothing)
    engine.close(grace_seconds=0)
    with psycopg.connect(shared.place.database_url) as connection:
        rows = connection.execute("SELECT id, timeout_seconds FROM claude_flow.hosts").fetchall()
    assert dict(rows) == {"old": 10.0, "one": 1.0}


def test_a_run_is_cancelled_from_another_host(shared: Any, until: Until) -> None:
    working = shared.start("octo/a#1", host="one", step_seconds=600)
    until(lambda: any(line[0] == "0" for line in shared.said))
    other = DurableEngine(shared.place.settings(host="two"))
    other.launch(nothing)
    try:
        (run,) = other.runs()
        assert other.free_slots() == 3
        assert other.free_slots(run.issue.repository) == 0
        assert other.cancel(run.id)
        until(lambda: other.runs(states=[RunState.CANCELLED]))
    finally:
        other.close(grace_seconds=0)
    assert working.wait(timeout=30) == 0


def test_two_hosts_of_one_name_do_not_both_start(shared: Any) -> None:
    settings = shared.place.settings(host="one")
    first = DurableEngine(settings)
    first.launch(nothing)
    elsewhere = settings.state_directory / "elsewhere"
    elsewhere.mkdir()
    try:
        twin = DurableEngine(replace(settings, state_directory=elsewhere))
        with pytest.raises(StateInUseError, match="another daemon calls itself host 'one'"):
            twin.launch(nothing)
        first.check()
    finally:
        first.close(grace_seconds=0)


def test_a_host_that_was_taken_for_dead_ends(shared: Any, until: Until) -> None:
    told: list[EngineError] = []
    engine = DurableEngine(shared.place.settings(host="one"), told.append)
    engine.launch(nothing)
    try:
        with psycopg.connect(shared.place.database_url) as connection:
            connection.execute("DELETE FROM claude_flow.hosts")
        until(lambda: told)
        with pytest.raises(EngineError, match="its work was taken over"):
            engine.check()
    finally:
        engine.close(grace_seconds=0)
