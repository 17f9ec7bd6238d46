"""Hosts that share one PostgreSQL database: who lives, and whose work has to be taken over.

All times are the database's, so the hosts' clocks may differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError

from claude_flow.engine.database import SCHEMA, Database
from claude_flow.errors import EngineError, StateInUseError

_RETRY_SECONDS = 0.05
_LOCK_SPACE = 0x636C66  # any fixed number: keeps our advisory locks apart from others'


class Hosts:
    """This host among its peers."""

    def __init__(self, database: Database, host_id: str, timeout_seconds: float) -> None:
        self._database = database
        self._host_id = host_id
        self._timeout_seconds = timeout_seconds
        self._session: sa.Connection | None = None
        self._sees_since: float | None = None
        self._hosts = sa.Table(
            "hosts",
            sa.MetaData(schema=SCHEMA),
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        )

    def join(self, wait_seconds: float) -> None:
        """Be seen as living. Raises StateInUseError if another daemon bears this host's id."""
        self._prepare()
        deadline = time.monotonic() + wait_seconds
        while not self._connect():
            if time.monotonic() >= deadline:
                raise self._twin()
            time.sleep(_RETRY_SECONDS)
        with self._database.write() as connection:
            connection.execute(
                postgresql.insert(self._hosts)
                .values(id=self._host_id, beat_at=sa.func.now())
                .on_conflict_do_update(index_elements=["id"], set_={"beat_at": sa.func.now()})
            )

    def beat(self) -> None:
        """Show that this host lives.

        Raises StateInUseError if others have taken it for dead, or its id: its work is theirs.
        """
        try:
            if self._session is None and not self._connect():
                raise self._twin()
            with self._database.errors("write"):
                beaten = self._beat()
        except StateInUseError:
            raise
        except EngineError:
            self._disconnect()
            raise
        if not beaten:
            raise StateInUseError(
                f"host {self._host_id!r} was silent for too long, its work was taken over",
                hint="the service starts anew by itself",
            )

    def take_over(self, take: Callable[[list[str]], None]) -> None:
        """Hand the ids of dead hosts to ``take``; if it fails, they are left to be taken.

        A host that was itself cut off from the database must not judge others at once.
        """
        if self._sees_since is None:
            return
        if time.monotonic() - self._sees_since < self._timeout_seconds:
            return
        age = sa.func.make_interval(0, 0, 0, 0, 0, 0, self._timeout_seconds)
        dead = (
            sa.select(self._hosts.c.id)
            .where(self._hosts.c.id != self._host_id)
            .where(self._hosts.c.beat_at < sa.func.now() - age)
            .with_for_update(skip_locked=True)
        )
        with self._database.write() as connection:
            ids = list(connection.execute(dead).scalars())
            if ids:
                take(ids)
                connection.execute(sa.delete(self._hosts).where(self._hosts.c.id.in_(ids)))

    def leave(self) -> None:
        """Be a host no more; unfinished work is taken over when the time is up."""
        self._disconnect()

    def _prepare(self) -> None:
        with self._database.write() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_SPACE)))
            self._hosts.metadata.create_all(connection)

    def _connect(self) -> bool:
        """Take the lock on this host's id, held as long as the session; False if it is taken."""
        lock = sa.func.pg_try_advisory_lock(_LOCK_SPACE, sa.func.hashtext(self._host_id))
        with self._database.errors("read"):
            session = self._database.engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            )
            # Not for the pool's other users, for it holds the lock.
            session.detach()
            try:
                taken = bool(session.execute(sa.select(lock)).scalar_one())
            except SQLAlchemyError:
                session.close()
                raise
        if not taken:
            session.close()
            return False
        self._session = session
        return True

    def _disconnect(self) -> None:
        self._sees_since = None
        if self._session is not None:
            self._session.close()
            self._session = None

    def _beat(self) -> bool:
        update = (
            sa.update(self._hosts)
            .where(self._hosts.c.id == self._host_id)
            .values(beat_at=sa.func.now())
        )
        beaten = self._require_session().execute(update).rowcount == 1
        self._sees_since = self._sees_since or time.monotonic()
        return beaten

    def _require_session(self) -> sa.Connection:
        if self._session is None:
            raise EngineError("this host has not joined", hint="call join() first")
        return self._session

    def _twin(self) -> StateInUseError:
        return StateInUseError(
            f"another daemon calls itself host {self._host_id!r} in {self._database}",
            hint="give each host that shares the database a host name of its own",
        )
