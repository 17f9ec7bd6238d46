"""Databases that are full, gone or not to be used."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from claude_flow.engine.durable import DurableEngine
from claude_flow.engine.record import open_record
from claude_flow.engine.settings import EngineSettings
from claude_flow.errors import EXIT_TRY_AGAIN, EngineError
from claude_flow.model.run import Reason, RunState
from claude_flow.ports import Steps

Until = Callable[[Callable[[], object]], None]


async def nothing(_run_id: str, _number: int, _steps: Steps) -> None:
    """No work: these engines are given none."""


def _has_said(daemons: Any, lines: int) -> bool:
    return len(daemons.said) >= lines


def _settings(database_url: str | None, directory: Path) -> EngineSettings:
    return EngineSettings(database_url, directory, "one", 1, 1, lambda: datetime.now(UTC))


def test_a_full_disk_ends_the_daemon_and_loses_nothing(on_sqlite: Any, until: Until) -> None:
    full = on_sqlite.start("octo/a#1", step_seconds=1.0)
    until(lambda: any(line[0] == "1" for line in on_sqlite.said))
    # The log stays below this size, the database's own log does not.
    resource.prlimit(full.pid, resource.RLIMIT_FSIZE, (4096, 4096))
    assert full.wait(timeout=30) == EXIT_TRY_AGAIN
    (run,) = on_sqlite.runs()
    assert run.state is RunState.RUNNING

    assert on_sqlite.start().wait(timeout=30) == 0
    (run,) = on_sqlite.runs()
    assert (run.state, len(run.attempts)) == (RunState.SUCCEEDED, 1)
    steps = [what for what, _run, _host in on_sqlite.said if what.isdigit()]
    assert sorted(set(steps)) == ["0", "1", "2", "3"]
    assert steps.count("0") == 1


def test_no_run_is_admitted_while_there_is_no_room(tmp_path: Path) -> None:
    room = [False, True]
    engine = DurableEngine(replace(_settings(None, tmp_path), has_room=lambda: room.pop(0)))
    engine.launch(nothing)
    try:
        assert engine.free_slots() == 0
        assert engine.free_slots() > 0
    finally:
        engine.close(grace_seconds=0)


def test_no_connections_are_opened_later(tmp_path: Path) -> None:
    """A daemon whose open files grow for days looks as if it leaked."""

    def open_files() -> int:
        return sum("state.db" in file.path for file in psutil.Process().open_files())

    engine = DurableEngine(_settings(None, tmp_path))
    engine.launch(nothing)
    try:
        before = open_files()
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(lambda _: engine.counts(), range(4000)))
        assert open_files() == before > 0
    finally:
        engine.close(grace_seconds=0)
    assert open_files() == 0


def test_a_run_that_the_queue_gave_up_is_ended(on_sqlite: Any, until: Until) -> None:
    """As one does that took the daemon down a hundred times."""
    daemon = on_sqlite.start("octo/a#1", "octo/a#2", step_seconds=600)
    until(partial(_has_said, on_sqlite, 4))
    (waiting,) = [run for run in on_sqlite.runs() if run.state is RunState.QUEUED]
    with closing(sqlite3.connect(on_sqlite.place.directory / "state.db")) as connection, connection:
        connection.execute(
            "UPDATE workflow_status SET status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'"
            " WHERE workflow_uuid = ?",
            [f"{waiting.id}/a1"],
        )
    until(lambda: [run for run in on_sqlite.runs() if run.state is RunState.FAILED])
    (ended,) = [run for run in on_sqlite.runs() if run.state is RunState.FAILED]
    assert (ended.id, ended.reason) == (waiting.id, Reason.AGENT_FAILED)
    assert ended.detail == "the service ended too often while working on this"
    assert daemon.poll() is None


def test_work_outlives_lost_connections(shared: Any, until: Until) -> None:
    daemon = shared.start("octo/a#1", step_seconds=0.5)
    for lines in (3, 4):
        until(partial(_has_said, shared, lines))
        with psycopg.connect(shared.place.database_url) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    assert daemon.wait(timeout=30) == 0
    assert [line[0] for line in shared.said if line[0].isdigit()] == ["0", "1", "2", "3"]


def test_work_outlives_a_database_that_is_away(
    shared: Any, launched_postgresql: Any, until: Until
) -> None:
    daemon = shared.start("octo/a#1", step_seconds=0.5)
    until(partial(_has_said, shared, 5))
    launched_postgresql.restart(away_seconds=4)
    assert daemon.wait(timeout=60) == 0
    assert [line[0] for line in shared.said if line[0].isdigit()] == ["0", "1", "2", "3"]
    (run,) = shared.runs()
    assert (run.state, len(run.attempts)) == (RunState.SUCCEEDED, 1)


def test_a_database_out_of_reach_is_named_without_its_password(tmp_path: Path) -> None:
    address = "postgresql://octo:geheim@127.0.0.1:1/flow?connect_timeout=2"
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:1/flow") as caught:
        DurableEngine(_settings(address, tmp_path)).launch(nothing)
    assert "geheim" not in str(caught.value)
    assert "engine.database_url" in str(caught.value)


@pytest.mark.parametrize("address", ["mysql://octo:geheim@db/flow", "geheim", "http://geheim"])
def test_another_kind_of_address_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="not the address of a PostgreSQL database") as caught:
        DurableEngine(_settings(address, tmp_path))
    assert "geheim" not in str(caught.value)


def test_a_missing_state_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"missing/state\.lock: No such file"):
        DurableEngine(_settings(None, tmp_path / "missing")).launch(nothing)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("This is no database at all." * 200)
    with pytest.raises(EngineError, match=r"state\.db: file is not a database"):
        DurableEngine(_settings(None, tmp_path)).launch(nothing)


def test_reading_before_the_first_launch_makes_nothing(tmp_path: Path) -> None:
    record = open_record(None, tmp_path)
    assert record.runs() == []
    assert record.get("widgets-1-0123456789") is None
    assert list(tmp_path.iterdir()) == []
