"""What the engine needs to know, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from claude_flow.ports import Clock


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Where the engine keeps its state and how much runs at once.

    ``database_url`` None means SQLite: ``state.db`` in ``state_directory``. ``host_id`` names
    this host among those that share a PostgreSQL database and stays the same over restarts.
    ``max_concurrent_runs`` holds on each host, ``max_concurrent_runs_per_repository`` over all
    hosts; both live in the shared queue, so the host that launched last sets them for all.
    ``poll_seconds`` is how often the queue and cancel requests are looked at.
    ``host_timeout_seconds`` is how long this host may be silent before another takes its work.
    ``lock_wait_seconds`` is how long ``launch`` waits for an earlier daemon to let go.
    No new run is admitted unless ``has_room`` says that there is space for it.
    """

    database_url: str | None
    state_directory: Path
    host_id: str
    max_concurrent_runs: int
    max_concurrent_runs_per_repository: int
    clock: Clock
    poll_seconds: float = 1.0
    host_timeout_seconds: float = 60.0
    lock_wait_seconds: float = 2.0
    has_room: Callable[[], bool] = lambda: True
