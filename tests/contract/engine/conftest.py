"""The engines that the contract suite runs over: the fake, SQLite, and a real PostgreSQL."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from claude_flow.engine.durable import DurableEngine
from claude_flow.engine.record import open_record
from claude_flow.engine.settings import EngineSettings
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Run, Trigger, TriggerKind
from claude_flow.ports import AttemptWorkflow, Engine, Steps
from claude_flow.testing.fake_engine import FakeEngine, FakeEngineState
from claude_flow.testing.postgresql import PostgreSQL, postgresql_server

PROGRAM = Path(__file__).with_name("daemon_process.py")
POLL_SECONDS = 0.05
PATIENCE_SECONDS = 60.0
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


MakeEngine = Callable[[int, int], Engine]


@dataclass
class EngineWorld:
    """Engines on one state, one after the other."""

    make: MakeEngine
    runs_made: int = 0
    opened: list[Engine] = field(default_factory=list)

    def engine(self, runs: int = 3, per_repository: int = 1) -> Engine:
        return self.make(runs, per_repository)

    def launch(self, work: AttemptWorkflow, runs: int = 3, per_repository: int = 1) -> Engine:
        engine = self.engine(runs, per_repository)
        engine.launch(work)
        self.opened.append(engine)
        return engine

    def close(self, engine: Engine, grace_seconds: float = 0.0) -> None:
        engine.close(grace_seconds=grace_seconds)
        self.opened.remove(engine)

    def run(self, issue: str) -> Run:
        """A new run, each a second younger than the one before."""
        self.runs_made += 1
        trigger = Trigger(TriggerKind.CLI, str(self.runs_made))
        at = START + timedelta(seconds=self.runs_made)
        return Run.queued(IssueRef.parse(issue), trigger, at)

    @staticmethod
    def now() -> datetime:
        return datetime.now(UTC)

    @staticmethod
    def until(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it did not come to be in time"
            time.sleep(0.01)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server for the session."""
    with postgresql_server() as server:
        yield server


@dataclass(frozen=True)
class Place:
    """Where a state is: an address for PostgreSQL or None for SQLite, and the directory."""

    database_url: str | None
    directory: Path

    def settings(self, runs: int = 3, per_repository: int = 1, host: str = "one") -> EngineSettings:
        # Hosts that share a database have state directories of their own.
        directory = self.directory / host if self.database_url else self.directory
        directory.mkdir(exist_ok=True)
        return EngineSettings(
            database_url=self.database_url,
            state_directory=directory,
            host_id=host,
            max_concurrent_runs=runs,
            max_concurrent_runs_per_repository=per_repository,
            clock=EngineWorld.now,
            poll_seconds=POLL_SECONDS,
            host_timeout_seconds=1.0,
            lock_wait_seconds=0.2,
        )


def _launch_once(place: Place) -> None:
    # Making the tables and noticing the new queue takes seconds: once for all tests.
    async def nothing(_run_id: str, _number: int, _steps: Steps) -> None:
        raise AssertionError("nothing was submitted")

    engine = DurableEngine(place.settings())
    engine.launch(nothing)
    engine.close(grace_seconds=0)


@pytest.fixture(scope="session")
def launched_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a state that an engine used before."""
    directory = tmp_path_factory.mktemp("launched")
    _launch_once(Place(None, directory))
    return directory / "state.db"


@pytest.fixture(scope="session")
def launched_postgresql(
    postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> PostgreSQL:
    """A server whose new databases were used by an engine before."""
    _launch_once(Place(postgresql.new_database(), tmp_path_factory.mktemp("launched")))
    return replace(postgresql, template=postgresql.made[-1])


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A new state on each kind of database."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("launched_sqlite"), tmp_path)
        return Place(None, tmp_path)
    server: PostgreSQL = request.getfixturevalue("launched_postgresql")
    return Place(server.new_database(), tmp_path)


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineWorld]:
    """A state and the engines on it; what is still open is closed at the end."""
    if request.param == "fake":
        world = _fake_world()
    elif request.param == "sqlite":
        shutil.copy(request.getfixturevalue("launched_sqlite"), tmp_path)
        world = _durable_world(Place(None, tmp_path))
    else:
        server: PostgreSQL = request.getfixturevalue("launched_postgresql")
        world = _durable_world(Place(server.new_database(), tmp_path))
    yield world
    for engine in tuple(world.opened):
        world.close(engine)


def _fake_world() -> EngineWorld:
    state = FakeEngineState()

    def make(runs: int, per_repository: int) -> Engine:
        return FakeEngine(
            EngineWorld.now,
            max_concurrent_runs=runs,
            max_concurrent_runs_per_repository=per_repository,
            state=state,
        )

    return EngineWorld(make)


def _durable_world(place: Place) -> EngineWorld:
    return EngineWorld(lambda runs, per: DurableEngine(place.settings(runs, per)))


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait for a condition, not for ever."""
    return EngineWorld.until


class Daemons:
    """Starts daemons on one place and reads what they said."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.log = place.directory / "daemons.log"
        self.errors = place.directory / "daemons.err"
        self.host_timeout_seconds = place.settings().host_timeout_seconds
        self.started: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        *issues: str,
        host: str = "one",
        runs: int = 3,
        step_seconds: float = 0.15,
        times: int = 1,
    ) -> subprocess.Popen[bytes]:
        settings = self.place.settings(runs, 1, host)
        spec = {
            "database_url": settings.database_url,
            "state_directory": str(settings.state_directory),
            "host_id": host,
            "max_concurrent_runs": runs,
            "max_concurrent_runs_per_repository": 1,
            "poll_seconds": settings.poll_seconds,
            "host_timeout_seconds": self.host_timeout_seconds,
            "step_seconds": step_seconds,
            "submit_times": times,
        }
        with self.errors.open("ab") as errors:
            daemon = subprocess.Popen(
                [sys.executable, PROGRAM, json.dumps(spec), self.log, *issues], stderr=errors
            )
        self.started.append(daemon)
        return daemon

    @property
    def said(self) -> list[list[str]]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.split() for line in lines]

    def runs(self) -> list[Run]:
        directory = self.place.settings().state_directory
        return open_record(self.place.database_url, directory).runs()

    def end(self) -> None:
        for daemon in self.started:
            if daemon.poll() is None:
                daemon.kill()
            daemon.wait()


@pytest.fixture
def daemons(place: Place) -> Iterator[Daemons]:
    """Daemons on each kind of database; none outlives the test."""
    daemons = Daemons(place)
    yield daemons
    daemons.end()


@pytest.fixture
def on_sqlite(launched_sqlite: Path, tmp_path: Path) -> Iterator[Daemons]:
    """Daemons on SQLite."""
    shutil.copy(launched_sqlite, tmp_path)
    daemons = Daemons(Place(None, tmp_path))
    yield daemons
    daemons.end()


@pytest.fixture
def shared(launched_postgresql: PostgreSQL, tmp_path: Path) -> Iterator[Daemons]:
    """Daemons of several hosts on one PostgreSQL database."""
    daemons = Daemons(Place(launched_postgresql.new_database(), tmp_path))
    yield daemons
    daemons.end()
