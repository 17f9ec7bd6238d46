"""The door to DBOS: its queue, its steps, its recovery.

Imported late and only by the engine: loading DBOS takes half a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions
from dbos import error as dbos_error
from sqlalchemy.exc import SQLAlchemyError

from claude_flow.engine.answers import Kept
from claude_flow.engine.attempts import DurableStep
from claude_flow.engine.database import Database, describe, hint, open_all
from claude_flow.engine.logs import quieten
from claude_flow.engine.settings import EngineSettings
from claude_flow.errors import EngineError

APPLICATION = "claude-flow"
QUEUE = "attempts"
_WORKFLOW = "attempt"
# Pinned: DBOS never resumes work of another version, and a release must resume its predecessor's.
_VERSION = "1"
# A run that takes the whole daemon down each time must end some day.
_MAX_RESUMES = 100
_WORKER_THREAD = "queue-worker-"  # as DBOS names them, followed by the queue's name
_THREAD_END_SECONDS = 10.0
_THREAD_POLL_SECONDS = 0.01
_THREADS = 64
_POOL_SIZE = 10
_START_GRACE_SECONDS = 10.0
_ENDED_WITHOUT_US = frozenset({"ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})

Drive = Callable[[str, int, DurableStep], Awaitable[None]]
T = TypeVar("T")


class DbosQueue:
    """The durable queue of attempts. DBOS keeps its state in globals: one per process."""

    def __init__(self, settings: EngineSettings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._executor_id = "local" if database.is_sqlite else settings.host_id
        self._dbos: DBOS | None = None
        self._client: DBOSClient | None = None
        self._launched_at = 0.0

    def launch(self, drive: Drive) -> None:
        """Open the queue and begin to hand its attempts to ``drive``. Raises EngineError."""
        quieten()
        try:
            _in_thread(lambda: self._launch(drive))
        except (dbos_error.DBOSException, SQLAlchemyError) as error:
            self._destroy()
            raise EngineError(
                f"cannot open the queue in {self._database}: {describe(error)}", hint=hint(error)
            ) from error
        self._launched_at = time.monotonic()

    def _launch(self, drive: Drive) -> None:
        address = self._database.url.render_as_string(hide_password=False)
        DBOS.migrate(address)
        self._client = DBOSClient(
            system_database_engine=self._database.engine,
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
            retry_connection_errors=False,
        )
        # Before the launch, so that nothing is taken by the limits of an earlier daemon.
        self._register_queue(
            self._settings.max_concurrent_runs,
            self._settings.max_concurrent_runs_per_repository,
        )
        # DBOS adopts a running loop of the thread that launches it; this thread has none, so
        # attempts run on a loop of their own and a busy one cannot stop the daemon's.
        self._dbos = DBOS(config=self._config(address))

        async def attempt(run_id: str, number: int) -> None:
            await drive(run_id, number, self._durable_step)

        DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=_MAX_RESUMES)(attempt)
        DBOS.launch()
        open_all(self._database.engine)
        open_all(self._dbos._sys_db.engine)  # noqa: SLF001 - DBOS has no public name for its pool

    def set_limits(self, runs: int, runs_per_repository: int) -> None:
        """Change the limits; runs beyond a lower one go on to their end. Raises EngineError."""
        try:
            _in_thread(lambda: self._register_queue(runs, runs_per_repository))
        except (dbos_error.DBOSException, SQLAlchemyError) as error:
            raise EngineError(
                f"cannot change the limits in {self._database}: {describe(error)}",
                hint=hint(error),
            ) from error

    def enqueue(
        self,
        connection: sa.Connection,
        run_id: str,
        number: int,
        *,
        partition: str,
        delay_seconds: float = 0.0,
    ) -> None:
        """Queue an attempt as part of the caller's transaction; a known one changes nothing."""
        options: EnqueueOptions = {
            "workflow_name": _WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": workflow_id(run_id, number),
            "app_version": _VERSION,
            "queue_partition_key": partition,
        }
        if delay_seconds > 0:
            options["delay_seconds"] = delay_seconds
        self._opened().enqueue_in_transaction(connection, options, run_id, number)

    def dead(self, workflow_ids: Sequence[str]) -> set[str]:
        """Those attempts that DBOS gave up without asking us. Raises EngineError."""
        try:
            found = self._opened().list_workflows(
                workflow_ids=list(workflow_ids),
                status=sorted(_ENDED_WITHOUT_US),
                load_input=False,
                load_output=False,
            )
        except (dbos_error.DBOSException, SQLAlchemyError) as error:
            raise EngineError(
                f"cannot read the queue in {self._database}: {describe(error)}", hint=hint(error)
            ) from error
        return {status.workflow_id for status in found}

    def take_over(self, host_ids: list[str]) -> None:
        """Resume here what dead hosts left. Raises EngineError.

        DBOS sells this as a service of its own; the call is private, a contract test holds it.
        """
        try:
            DBOS._recover_pending_workflows(host_ids)  # noqa: SLF001 - see above
        except (dbos_error.DBOSException, SQLAlchemyError) as error:
            raise EngineError(
                f"cannot take over the work of {', '.join(host_ids)}: {describe(error)}",
                hint=hint(error),
            ) from error

    def check(self) -> None:
        """Raise EngineError unless the queue is being looked at."""
        if _WORKER_THREAD + QUEUE in _workers():
            return
        # DBOS starts the thread of a new queue within a second.
        if self._dbos is None or time.monotonic() - self._launched_at > _START_GRACE_SECONDS:
            raise EngineError("nothing takes from the queue any more", hint="restart the service")

    def stop_taking(self) -> None:
        """Take no more attempts from the queue."""
        if self._dbos is not None:
            for event in tuple(self._dbos.background_thread_stop_events):
                event.set()
        # What a thread has just taken must reach the loop before the loop ends.
        deadline = time.monotonic() + _THREAD_END_SECONDS
        while _workers() and time.monotonic() < deadline:
            time.sleep(_THREAD_POLL_SECONDS)

    def close(self) -> None:
        """End everything; what still runs is resumed by the next launch."""
        self._client = None  # it has only our own connections, nothing to close
        _in_thread(self._destroy)

    async def _durable_step(self, name: str, do: Callable[[], Awaitable[Kept]]) -> Kept:
        async def perform() -> Kept:  # DBOS wants a coroutine function
            return await do()

        try:
            return await DBOS.run_step_async({"name": name}, perform)
        except SQLAlchemyError as error:
            raise EngineError(
                f"cannot keep step {name!r} in {self._database}: {describe(error)}",
                hint=hint(error),
            ) from error

    def _destroy(self) -> None:
        DBOS.destroy(destroy_registry=True)
        self._dbos = None

    def _opened(self) -> DBOSClient:
        if self._client is None:
            raise EngineError("the engine is not launched", hint="call launch() first")
        return self._client

    def _config(self, address: str) -> DBOSConfig:
        return {
            "name": APPLICATION,
            "system_database_url": address,
            "executor_id": self._executor_id,
            "application_version": _VERSION,
            "serializer": DBOSPortableJSONSerializer(),
            "sys_db_pool_size": _POOL_SIZE,
            "max_executor_threads": _THREADS,
            "enable_otlp": False,
            "log_level": "WARNING",
            "notification_listener_polling_interval_sec": max(self._settings.poll_seconds, 0.1),
        }

    def _register_queue(self, runs: int, runs_per_repository: int) -> None:
        self._opened().register_queue(
            QUEUE,
            worker_concurrency=runs,
            partition_concurrency=runs_per_repository,
            polling_interval_sec=self._settings.poll_seconds,
            on_conflict="always_update",
        )


def workflow_id(run_id: str, number: int) -> str:
    """The id of an attempt in the queue: asked for twice, it is still one."""
    return f"{run_id}/a{number}"


def _workers() -> set[str]:
    return {
        thread.name for thread in threading.enumerate() if thread.name.startswith(_WORKER_THREAD)
    }


def _in_thread(do: Callable[[], T]) -> T:
    # DBOS refuses its blocking calls in a thread whose event loop runs.
    with ThreadPoolExecutor(1, thread_name_prefix="engine-door") as pool:
        return pool.submit(do).result()
