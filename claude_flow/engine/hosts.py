"""Hosts that share one PostgreSQL database: who lives, and whose work has to be taken over.

Moments in the table are the database's and only compared for being the same, so all clocks may
differ and be set.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError

from claude_flow.engine.database import SCHEMA, Database
from claude_flow.engine.peers import Beat, PeerWatch
from claude_flow.errors import EngineError, StateInUseError
from claude_flow.model.lease import lease_seconds
from claude_flow.ports import HostLease

_RETRY_SECONDS = 0.05
_TIMEOUT = "timeout_seconds"
_EARLIER_TIMEOUT_SECONDS = 10.0  # of releases that did not write it down
_LOCK_SPACE = 0x636C66  # any fixed number: keeps our advisory locks apart from others'


class Hosts:
    """This host among its peers; ``lease`` is renewed with each beat that was written."""

    def __init__(
        self,
        database: Database,
        host_id: str,
        timeout_seconds: float,
        lease: HostLease | None = None,
    ) -> None:
        self._database = database
        self._host_id = host_id
        self._timeout_seconds = timeout_seconds
        self._lease = lease
        self._session: sa.Connection | None = None
        self._peers = PeerWatch()
        self._hosts = sa.Table(
            "hosts",
            sa.MetaData(schema=SCHEMA),
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column(
                _TIMEOUT, sa.Double, nullable=False, server_default=str(_EARLIER_TIMEOUT_SECONDS)
            ),
        )

    def join(self, wait_seconds: float) -> None:
        """Be seen as living. Raises StateInUseError if another daemon bears this host's id."""
        self._prepare()
        deadline = time.monotonic() + wait_seconds
        while not self._connect():
            if time.monotonic() >= deadline:
                raise self._twin()
            time.sleep(_RETRY_SECONDS)
        beat = {"beat_at": sa.func.now(), _TIMEOUT: self._timeout_seconds}
        sent_at = self._now()
        with self._database.write() as connection:
            connection.execute(
                postgresql.insert(self._hosts)
                .values(id=self._host_id, **beat)
                .on_conflict_do_update(index_elements=["id"], set_=beat)
            )
        self._beaten(sent_at)

    def beat(self) -> None:
        """Show that this host lives.

        Raises StateInUseError if others have taken it for dead, or its id: its work is theirs.
        """
        try:
            if self._session is None and not self._connect():
                raise self._twin()
            sent_at = self._now()
            with self._database.errors("write"):
                beaten = self._beat()
        except StateInUseError:
            raise
        except EngineError:
            self._disconnect()
            raise
        if not beaten:
            if self._lease is not None:
                self._lease.revoke()
            raise self._taken_over()
        self._beaten(sent_at)

    def require_place(self, connection: sa.Connection) -> None:
        """Raise StateInUseError if others have this host's work.

        Where they do not, they cannot take it before the transaction of ``connection`` ends.
        """
        mine = (
            sa.select(self._hosts.c.id)
            .where(self._hosts.c.id == self._host_id)
            .with_for_update(read=True, key_share=True)
        )
        if connection.execute(mine).first() is None:
            raise self._taken_over()

    def take_over(self, take: Callable[[list[str]], None]) -> None:
        """Hand the ids of dead hosts to ``take``; if it fails, they are left to be taken."""
        hosts = self._hosts.c
        others = sa.select(hosts.id, hosts.beat_at, hosts[_TIMEOUT]).where(
            hosts.id != self._host_id
        )
        with self._database.write() as connection:
            beats = [Beat(*row) for row in connection.execute(others)]
            dead = self._peers.dead(beats, time.monotonic())
            if not dead:
                return
            silent = sa.tuple_(hosts.id, hosts.beat_at).in_(
                [(beat.host_id, beat.at) for beat in dead]
            )
            # Looked at again under the lock: it may have beaten since.
            still = sa.select(hosts.id).where(silent).with_for_update(skip_locked=True)
            ids = list(connection.execute(still).scalars())
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
            connection.execute(
                sa.text(
                    f"ALTER TABLE {SCHEMA}.hosts ADD COLUMN IF NOT EXISTS {_TIMEOUT}"
                    f" DOUBLE PRECISION NOT NULL DEFAULT {_EARLIER_TIMEOUT_SECONDS}"
                )
            )

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
        self._peers.forget()
        if self._session is not None:
            self._session.close()
            self._session = None

    def _beat(self) -> bool:
        update = (
            sa.update(self._hosts)
            .where(self._hosts.c.id == self._host_id)
            .values(beat_at=sa.func.now())
        )
        return self._require_session().execute(update).rowcount == 1

    def _now(self) -> float:
        return 0.0 if self._lease is None else self._lease.now()

    def _beaten(self, sent_at: float) -> None:
        if self._lease is not None:
            self._lease.renew(sent_at + lease_seconds(self._timeout_seconds))

    def _require_session(self) -> sa.Connection:
        if self._session is None:
            raise EngineError("this host has not joined", hint="call join() first")
        return self._session

    def _taken_over(self) -> StateInUseError:
        return StateInUseError(
            f"host {self._host_id!r} was silent for too long, its work was taken over",
            hint="the service starts anew by itself",
        )

    def _twin(self) -> StateInUseError:
        return StateInUseError(
            f"another daemon calls itself host {self._host_id!r} in {self._database}",
            hint="give each host that shares the database a host name of its own",
        )
