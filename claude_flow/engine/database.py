"""The one SQL database of a state: SQLite beside the state, or a shared PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from claude_flow.errors import EngineError

SCHEMA = "claude_flow"
"""The schema of our own tables in PostgreSQL; SQLite has none."""

_STATE_FILE = "state.db"
_BUSY_TIMEOUT_MS = 10_000
_CONNECT_TIMEOUT_SECONDS = 5
_CONNECTIONS = 8
_PAGE_CACHE_KIB = 256  # of each connection; the file is small and the kernel caches it too
_READ_ONLY = "claude_flow_read_only"


class Database:
    """Connections and transactions; every failure becomes an EngineError.

    Without ``keep_connections`` each is closed after its use, so there is nothing to close.
    """

    def __init__(
        self, database_url: str | None, state_directory: Path, *, keep_connections: bool = True
    ) -> None:
        self.url = _url(database_url, state_directory)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._file = state_directory / _STATE_FILE
        pool = sa.QueuePool if keep_connections else sa.NullPool
        make = _sqlite_engine if self.is_sqlite else _postgres_engine
        self.engine = make(self.url, pool)

    @property
    def exists(self) -> bool:
        """Whether there can be anything to read; connecting would make a missing SQLite file."""
        return not self.is_sqlite or self._file.exists()

    def __str__(self) -> str:
        """Where it is, for people; never with the password."""
        if self.is_sqlite:
            return str(self._file)
        return self.url.set(drivername="postgresql").render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads. Raises EngineError."""
        with self.errors("read"), self.engine.connect() as plain:
            connection = plain.execution_options(**{_READ_ONLY: True})
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that writes: all or nothing, alone from its start. Raises EngineError."""
        with self.errors("write"), self.engine.begin() as connection:
            yield connection

    def prepare(self) -> None:
        """Set what SQLite keeps in the file itself. Raises EngineError."""
        if not self.is_sqlite:
            return
        with self.errors("prepare"):
            connection = self.engine.raw_connection()
            try:
                # Readers and the writer then do not wait for each other.
                connection.cursor().execute("PRAGMA journal_mode=WAL")
            finally:
                connection.close()

    def close(self) -> None:
        """Give up all connections."""
        self.engine.dispose()

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turn the driver's errors into EngineError; ``doing`` is a verb: read, write."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise EngineError(
                f"cannot {doing} the state in {self}: {describe(error)}", hint=hint(error)
            ) from error


def open_all(engine: sa.Engine) -> None:
    """Open all of a SQLite pool's connections, so that files and memory do not grow later.

    A pool opens one more only when all are in use, so a daemon would seem to leak for days.
    """
    pool = engine.pool
    if engine.dialect.name != "sqlite" or not isinstance(pool, sa.QueuePool):
        return
    with ExitStack() as opened:
        for _ in range(pool.size()):
            # Raw: no transaction, for ours begin by taking the lock.
            connection = opened.enter_context(closing(engine.raw_connection()))
            connection.cursor().execute(f"PRAGMA cache_size=-{_PAGE_CACHE_KIB}")


def describe(error: Exception) -> str:
    """The database's own words on one line, without the statement and its values."""
    words = str(getattr(error, "orig", None) or error).strip()
    return words.splitlines()[0] if words else type(error).__name__


def hint(error: Exception) -> str:
    """What to do about a database error."""
    words = describe(error)
    if "full" in words or "No space" in words:
        return "free some disk space; nothing is lost, the service goes on by itself"
    if "I/O error" in words:
        return "check the disk that holds the state; the service goes on where it was"
    if "not a database" in words or "malformed" in words:
        return "put the file back from a backup, or move it away to begin anew"
    if "readonly" in words or "unable to open" in words:
        return "check that the state directory belongs to the service's user"
    return "check that the database is up and engine.database_url is right"


def _url(database_url: str | None, state_directory: Path) -> sa.URL:
    if database_url is None:
        return sa.URL.create("sqlite", database=str(state_directory / _STATE_FILE))
    try:
        url = sa.make_url(database_url)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() not in {"postgresql", "postgres"}:
        # The value may hold a password, so it is not repeated.
        raise EngineError(
            "engine.database_url is not the address of a PostgreSQL database",
            hint="write it as postgresql://user@host/database, or leave it null for SQLite",
        )
    return url.set(drivername="postgresql+psycopg")


def _sqlite_engine(url: sa.URL, pool: type[sa.Pool]) -> sa.Engine:
    # No more than these: SQLite keeps the file of a closed connection open while others have locks.
    bounds = {"pool_size": _CONNECTIONS, "max_overflow": 0} if pool is sa.QueuePool else {}
    engine = sa.create_engine(url, poolclass=pool, **bounds)

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        # The driver's own idea of when to begin is switched off: "begin" below decides.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A writer takes the lock at once: one that reads first may find it gone when it writes.
        read_only = connection.get_execution_options().get(_READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _postgres_engine(url: sa.URL, pool: type[sa.Pool]) -> sa.Engine:
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": str(_CONNECT_TIMEOUT_SECONDS)})
    return sa.create_engine(
        url,
        poolclass=pool,
        pool_pre_ping=True,
        connect_args={"application_name": "claude-flow"},
    )
