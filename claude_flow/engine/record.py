"""The record of all runs: one row each, in the same database as the queue.

Reading it needs no running engine, so the command line may do so while no daemon runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from claude_flow.engine.database import SCHEMA, Database
from claude_flow.errors import UsageError
from claude_flow.model import transitions
from claude_flow.model.issue import IssueRef, Repository
from claude_flow.model.run import Reason, Run, RunState, spent_since, to_rfc3339
from claude_flow.model.transitions import RunEnded, RunEvent

ACTIVE_STATES = (RunState.QUEUED, RunState.RUNNING)
_ROWS_AT_ONCE = 500
_PREPARE_LOCK = 0x636C61756465  # any fixed number: PostgreSQL's advisory lock for preparing


@dataclass(frozen=True, slots=True)
class Pending:
    """An active run as the queue sees it: the latest attempt that was asked for."""

    run_id: str
    attempt: int


class RunRecord:
    """The table of runs.

    ``fence`` is called within each change of a run that was worked on, and raises EngineError
    where that run may be another host's by now.
    """

    def __init__(
        self, database: Database, fence: Callable[[sa.Connection], None] = lambda _: None
    ) -> None:
        self._database = database
        self._fence = fence
        self._runs = _table(None if database.is_sqlite else SCHEMA)

    def prepare(self) -> None:
        """Make what is missing in the database. Raises EngineError."""
        self._database.prepare()
        with self._database.write() as connection:
            if not self._database.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_PREPARE_LOCK)))
                connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
            self._runs.metadata.create_all(connection)

    def insert(self, connection: sa.Connection, run: Run) -> bool:
        """Add a run; False if it is known or its issue has an active one."""
        make = sqlite.insert if self._database.is_sqlite else postgresql.insert
        statement = (
            make(self._runs)
            .values(
                id=run.id,
                issue=str(run.issue).lower(),
                repository=partition(run.issue.repository),
                state=run.state.value,
                created_at=to_rfc3339(run.created_at),
                attempt=0 if run.state.is_final else 1,
                cancel_requested=False,
                document=json.dumps(run.to_json()),
            )
            .on_conflict_do_nothing()
            .returning(self._runs.c.id)
        )
        return connection.execute(statement).first() is not None

    def apply(self, run_id: str, event: RunEvent) -> Run:
        """Change a run in one transaction. Raises UsageError for an unknown run, EngineError."""
        with self._database.write() as connection:
            self._fence(connection)
            return self._apply(connection, run_id, event)

    def ask_for_attempt(self, connection: sa.Connection, run_id: str, number: int) -> Run | None:
        """Note that attempt ``number`` is wanted; None if the run is final or it was before."""
        self._fence(connection)
        row = self._locked(connection, run_id)
        run = _run(row)
        if run.state.is_final or number <= row.attempt:
            return None
        self._update(connection, run_id, {"attempt": number})
        return run

    def ask_for_cancel(self, run_id: str, at: datetime) -> bool:
        """Note a cancel; a run that no attempt is working on ends here. False if it is final."""
        with self._database.write() as connection:
            if self._row(connection, run_id) is None:
                return False
            run = _run(self._locked(connection, run_id))
            if run.state.is_final:
                return False
            self._update(connection, run_id, {"cancel_requested": True})
            if run.state is RunState.QUEUED:
                self._apply(connection, run_id, RunEnded(Reason.CANCELLED_BY_USER, at))
            return True

    def is_cancelled(self, run_id: str) -> bool:
        """Whether a cancel was asked for. Raises EngineError."""
        return bool(self.cancelled([run_id]))

    def cancelled(self, run_ids: Sequence[str]) -> set[str]:
        """Those of the runs for which a cancel was asked. Raises EngineError."""
        query = sa.select(self._runs.c.id).where(
            self._runs.c.id.in_(run_ids), self._runs.c.cancel_requested
        )
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def latest_attempt(self, run_id: str) -> int:
        """The number of the latest attempt that was asked for. Raises UsageError, EngineError."""
        with self._database.read() as connection:
            row = self._row(connection, run_id)
        if row is None:
            raise _unknown(run_id)
        return int(row.attempt)

    @property
    def exists(self) -> bool:
        """Whether there is a database to read, be it out of reach now."""
        return self._database.exists

    def get(self, run_id: str) -> Run | None:
        """The run, or None. Raises EngineError."""
        if not self._database.exists:
            return None
        with self._database.read() as connection:
            row = self._row(connection, run_id)
        return None if row is None else _run(row)

    def runs(
        self,
        *,
        states: Sequence[RunState] = (),
        issue: IssueRef | None = None,
        repository: Repository | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """Runs, newest first; ``states`` empty means all. Raises EngineError."""
        if not self._database.exists:
            return []
        table = self._runs
        query = sa.select(table).order_by(table.c.created_at.desc(), table.c.id.desc())
        if states:
            query = query.where(table.c.state.in_([state.value for state in states]))
        if issue is not None:
            query = query.where(table.c.issue == str(issue).lower())
        if repository is not None:
            query = query.where(table.c.repository == partition(repository))
        with self._database.read() as connection:
            return [_run(row) for row in connection.execute(query.limit(limit))]

    def counts(self) -> dict[RunState, int]:
        """How many runs there are, by state. Raises EngineError."""
        table = self._runs
        query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
        with self._database.read() as connection:
            return {RunState(state): number for state, number in connection.execute(query)}

    def spent_usd(self, since: datetime) -> dict[str, float]:
        """What attempts that ended since then cost, by repository. Raises EngineError."""
        return spent_since(since, self.worked_on_since(since))

    def worked_on_since(self, since: datetime) -> Iterator[Run]:
        """Runs with an attempt that ended since then, and perhaps others; read while taken.

        Raises EngineError.
        """
        if not self._database.exists:
            return
        table = self._runs
        # A run with such an attempt is active or has ended since itself. All moments in the
        # documents have one form, so their texts compare as they do.
        ended_at = (
            sa.func.json_extract(table.c.document, "$.ended_at")
            if self._database.is_sqlite
            else sa.cast(table.c.document, postgresql.JSON)["ended_at"].astext
        )
        query = sa.select(table).where(
            table.c.state.in_(ACTIVE_STATES) | (ended_at >= to_rfc3339(since))
        )
        with self._database.read() as connection:
            # So many at a time: there may be years of them.
            few = connection.execution_options(yield_per=_ROWS_AT_ONCE)
            with few.execute(query) as rows:
                yield from map(_run, rows)

    def pending(self) -> list[Pending]:
        """All active runs. Raises EngineError."""
        table = self._runs
        query = sa.select(table.c.id, table.c.attempt).where(table.c.state.in_(ACTIVE_STATES))
        with self._database.read() as connection:
            return [Pending(row.id, row.attempt) for row in connection.execute(query)]

    def busy(self, repository: Repository) -> int:
        """How many runs of a repository, on all hosts, are running or about to.

        A run that waits for its next attempt holds no slot. Raises EngineError.
        """
        return self._count(
            (self._runs.c.repository == partition(repository))
            & ((self._runs.c.state == RunState.RUNNING) | self._is_new())
        )

    def waiting(self) -> int:
        """How many runs wait for their first attempt, on whatever host. Raises EngineError."""
        return self._count(self._is_new())

    def running(self) -> int:
        """How many runs are running, on all hosts. Raises EngineError."""
        return self._count(self._runs.c.state == RunState.RUNNING)

    def _is_new(self) -> sa.ColumnElement[bool]:
        return (self._runs.c.state == RunState.QUEUED) & (self._runs.c.attempt == 1)

    def _count(self, which: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(self._runs).where(which)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def check(self) -> None:
        """Raise EngineError unless the database answers."""
        with self._database.read() as connection:
            connection.execute(sa.select(1))

    def _apply(self, connection: sa.Connection, run_id: str, event: RunEvent) -> Run:
        before = _run(self._locked(connection, run_id))
        after = transitions.apply(before, event)
        if after != before:
            document = json.dumps(after.to_json())
            self._update(connection, run_id, {"state": after.state.value, "document": document})
        return after

    def _row(self, connection: sa.Connection, run_id: str) -> sa.Row[tuple[object, ...]] | None:
        return connection.execute(sa.select(self._runs).where(self._runs.c.id == run_id)).first()

    def _locked(self, connection: sa.Connection, run_id: str) -> sa.Row[tuple[object, ...]]:
        # SQLite has no FOR UPDATE (left out by its dialect): there the whole write is alone.
        query = sa.select(self._runs).where(self._runs.c.id == run_id).with_for_update()
        row = connection.execute(query).first()
        if row is None:
            raise _unknown(run_id)
        return row

    def _update(self, connection: sa.Connection, run_id: str, values: dict[str, object]) -> None:
        connection.execute(sa.update(self._runs).where(self._runs.c.id == run_id).values(values))


def open_record(database_url: str | None, state_directory: Path) -> RunRecord:
    """The record for reading, from any process; nothing is made or changed."""
    return RunRecord(Database(database_url, state_directory, keep_connections=False))


def partition(repository: Repository) -> str:
    """The key under which the runs of one repository share a limit."""
    return str(repository).lower()


def _unknown(run_id: str) -> UsageError:
    return UsageError(f"there is no run {run_id!r}", hint="claude-flowctl runs list shows them all")


def _run(row: sa.Row[tuple[object, ...]]) -> Run:
    return Run.from_json(json.loads(row.document))


def _table(schema: str | None) -> sa.Table:
    table = sa.Table(
        "runs",
        sa.MetaData(schema=schema),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("issue", sa.Text, nullable=False),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False, index=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    # Inline text: the predicate of a partial index takes no bound values.
    active = sa.text("state IN ('queued', 'running')")
    sa.Index(
        "one_active_run_per_issue",
        table.c.issue,
        unique=True,
        sqlite_where=active,
        postgresql_where=active,
    )
    return table
