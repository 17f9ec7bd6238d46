"""The engine: the record of runs and the durable queue of their attempts, in one database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from claude_flow.engine.attempts import Attempts, DurableStep
from claude_flow.engine.database import Database
from claude_flow.engine.dbos_queue import DbosQueue, Drive, workflow_id
from claude_flow.engine.hosts import Hosts
from claude_flow.engine.keeper import Keeper
from claude_flow.engine.lock import StateLock
from claude_flow.engine.patience import Patience, PatientRecord
from claude_flow.engine.record import RunRecord, partition
from claude_flow.engine.settings import EngineSettings
from claude_flow.errors import EngineError, LeaseLostError, StateInUseError
from claude_flow.model.issue import IssueRef, Repository
from claude_flow.model.run import Run, RunState
from claude_flow.model.transitions import RunEvent
from claude_flow.ports import AttemptWorkflow, HostLease

logger = logging.getLogger(__name__)

_LAST_STEP_SECONDS = 10.0


class DurableEngine:
    """The ``Engine`` port on DBOS, with SQLite or PostgreSQL.

    ``on_fatal`` is called, from another thread, when a running attempt loses its database: the
    daemon then has to end with the error's exit code, and the next launch resumes all work.
    ``lease`` is held while hosts that share the database leave this one's work alone.
    """

    def __init__(
        self,
        settings: EngineSettings,
        on_fatal: Callable[[EngineError], None] | None = None,
        lease: HostLease | None = None,
    ) -> None:
        self._settings = settings
        self._limits = (settings.max_concurrent_runs, settings.max_concurrent_runs_per_repository)
        self._on_fatal = on_fatal
        self._fatal: EngineError | None = None
        self._lock = StateLock(settings.state_directory)
        self._database = Database(settings.database_url, settings.state_directory)
        self._lease = lease
        self._hosts = self._among_hosts()
        self._record = (
            RunRecord(self._database)
            if self._hosts is None
            else RunRecord(self._database, self._hosts.require_place)
        )
        self._queue = DbosQueue(settings, self._database)
        self._patience = Patience()
        self._patient = PatientRecord(self._record, self._patience)
        self._attempts = Attempts(self._patient, settings.clock, self._fail, self.require_lease)
        self._keeper = Keeper(settings.poll_seconds, self._tick)

    def launch(self, work: AttemptWorkflow) -> None:
        """See ``claude_flow.ports.Engine``."""
        self._lock.acquire(self._settings.lock_wait_seconds)
        try:
            self._record.prepare()
            if self._hosts is not None:
                self._hosts.join(self._settings.lock_wait_seconds)
            self._queue.launch(self._driver(work))
        except EngineError:
            self._leave()
            raise
        self._keeper.start()

    def close(self, *, grace_seconds: float) -> None:
        """See ``claude_flow.ports.Engine``."""
        self._attempts.stop_accepting()
        self._queue.stop_taking()
        if not self._attempts.wait_until_idle(grace_seconds):
            self._patience.stop()
            self._attempts.interrupt()
            self._attempts.wait_until_idle(_LAST_STEP_SECONDS)
        self._patience.stop()
        self._keeper.stop()
        self._attempts.interrupted = True
        self._queue.close()
        self._leave()

    def _leave(self) -> None:
        if self._hosts is not None:
            self._hosts.leave()
        self._database.close()
        self._lock.release()

    def submit(self, run: Run) -> bool:
        """See ``claude_flow.ports.Engine``."""
        with self._database.write() as connection:
            if not self._record.insert(connection, run):
                return False
            # In the same transaction: a crash leaves both or neither.
            self._queue.enqueue(connection, run.id, 1, partition=partition(run.issue.repository))
        return True

    def retry(self, run_id: str, number: int, delay_seconds: float) -> None:
        """See ``claude_flow.ports.Engine``."""
        self._patience.call(lambda: self._retry(run_id, number, delay_seconds))

    def _retry(self, run_id: str, number: int, delay_seconds: float) -> None:
        with self._database.write() as connection:
            run = self._record.ask_for_attempt(connection, run_id, number)
            if run is not None:
                self._queue.enqueue(
                    connection,
                    run_id,
                    number,
                    partition=partition(run.issue.repository),
                    delay_seconds=delay_seconds,
                )

    def cancel(self, run_id: str) -> bool:
        """See ``claude_flow.ports.Engine``."""
        if not self._record.ask_for_cancel(run_id, self._settings.clock()):
            return False
        self._attempts.cancel(run_id)
        return True

    def require_lease(self) -> None:
        """See ``claude_flow.ports.Engine``."""
        if self._hosts is not None and self._lease is not None and not self._lease.is_held():
            raise LeaseLostError(
                f"host {self._settings.host_id!r} was not heard in {self._database} for too long:"
                " its work may be another host's by now",
                hint="the service starts anew by itself; check its way to the database",
            )

    def is_cancelled(self, run_id: str) -> bool:
        """See ``claude_flow.ports.Engine``."""
        return self._patient.is_cancelled(run_id)

    def apply(self, run_id: str, event: RunEvent) -> Run:
        """See ``claude_flow.ports.Engine``."""
        return self._patient.apply(run_id, event)

    def get(self, run_id: str) -> Run | None:
        """See ``claude_flow.ports.Engine``."""
        return self._record.get(run_id)

    def runs(
        self,
        *,
        states: Sequence[RunState] = (),
        issue: IssueRef | None = None,
        repository: Repository | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """See ``claude_flow.ports.Engine``."""
        return self._record.runs(states=states, issue=issue, repository=repository, limit=limit)

    def counts(self) -> Mapping[RunState, int]:
        """See ``claude_flow.ports.Engine``."""
        return self._record.counts()

    def spent_usd(self, since: datetime) -> Mapping[str, float]:
        """See ``claude_flow.ports.Engine``."""
        return self._record.spent_usd(since)

    def worked_on_since(self, since: datetime) -> Iterator[Run]:
        """See ``claude_flow.ports.Engine``."""
        return self._record.worked_on_since(since)

    def free_slots(self, repository: Repository | None = None) -> int:
        """See ``claude_flow.ports.Engine``."""
        if not self._settings.has_room():
            return 0
        # On SQLite all that runs is this host's, also what is yet to be resumed.
        here = self._record.running() if self._hosts is None else len(self._attempts.run_ids)
        free = self._limits[0] - here - self._record.waiting()
        if repository is not None:
            free = min(free, self._limits[1] - self._record.busy(repository))
        return max(free, 0)

    def set_limits(self, max_concurrent_runs: int, max_concurrent_runs_per_repository: int) -> None:
        """Change the limits while running. Raises EngineError."""
        self._queue.set_limits(max_concurrent_runs, max_concurrent_runs_per_repository)
        self._limits = (max_concurrent_runs, max_concurrent_runs_per_repository)

    def check(self) -> None:
        """See ``claude_flow.ports.Engine``."""
        if self._fatal is not None:
            raise self._fatal
        self._queue.check()
        self._keeper.check()
        self._record.check()

    def _driver(self, work: AttemptWorkflow) -> Drive:
        async def drive(run_id: str, number: int, durable: DurableStep) -> None:
            await self._attempts.drive(run_id, number, work, durable)

        return drive

    def _among_hosts(self) -> Hosts | None:
        if self._database.is_sqlite:
            return None
        settings = self._settings
        return Hosts(self._database, settings.host_id, settings.host_timeout_seconds, self._lease)

    def _fail(self, error: EngineError) -> None:
        self._fatal = error
        if self._on_fatal is not None:
            self._on_fatal(error)

    def _tick(self) -> None:
        if self._hosts is not None:
            self._meet_hosts(self._hosts)
        for run_id in self._record.cancelled(self._attempts.run_ids):
            self._attempts.cancel(run_id)  # asked for on another host
        self._end_dead_runs()

    def _meet_hosts(self, hosts: Hosts) -> None:
        try:
            hosts.beat()
        except StateInUseError as error:
            logger.critical("%s", error)
            self._attempts.interrupt()
            self._fail(EngineError(error.message, hint=error.hint))
            raise
        hosts.take_over(self._take_over)

    def _take_over(self, host_ids: list[str]) -> None:
        logger.warning("taking over the work of dead hosts: %s", ", ".join(host_ids))
        self._queue.take_over(host_ids)

    def _end_dead_runs(self) -> None:
        latest = {workflow_id(p.run_id, p.attempt): p for p in self._record.pending()}
        if not latest:
            return
        for dead in self._queue.dead(list(latest)):
            pending = latest[dead]
            logger.error("run %s: attempt %d was given up", pending.run_id, pending.attempt)
            detail = "the service ended too often while working on this"
            self._attempts.fail(pending.run_id, pending.attempt, detail)
