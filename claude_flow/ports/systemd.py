"""The unit as systemd has it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class UnitState:
    """A service unit as systemd sees it.

    The words are systemd's own: ``load`` (``loaded``, ``not-found``, ``masked``), ``active``
    (``active``, ``reloading``, ``inactive``, ``failed``, ``activating``, ``deactivating``),
    ``sub`` (``running``, ``dead``), ``file`` (``enabled``, ``disabled``), ``result``
    (``success``, ``exit-code``, ``timeout``, ``watchdog``).
    """

    unit: str
    load: str
    active: str
    sub: str
    file: str
    result: str
    main_pid: int | None
    exit_status: int | None
    """Exit code or signal of the main process that last ended; None while none has."""
    restarts: int
    status_text: str | None
    """What the daemon last said of itself."""
    active_since: datetime | None

    @property
    def is_active(self) -> bool:
        """Whether the service is up; during a reload it is."""
        return self.active in {"active", "reloading"}


@dataclass(frozen=True, slots=True)
class UnitUsage:
    """What a unit's control group uses and may use.

    None where systemd does not count, or, for the ``…_max`` and the quota, does not limit.
    """

    pids: tuple[int, ...] = ()
    """The processes of the unit, all generations; empty while it does not run."""
    main_started_at: datetime | None = None
    main_uptime_seconds: float | None = None
    memory_bytes: int | None = None
    memory_max_bytes: int | None = None
    cpu_seconds: float | None = None
    cpu_quota_percent: float | None = None
    """Of one core: 200 is two cores."""
    tasks: int | None = None
    tasks_max: int | None = None
    read_bytes: int | None = None
    """Read from block devices."""
    written_bytes: int | None = None
    oom_kills: int | None = None
    """Processes that were killed for memory since the unit's start."""
    throttled_seconds: float | None = None
    """For how long the quota has held its processes back."""


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line of a unit's journal; ``priority`` is syslog's, 0 (worst) to 7."""

    at: datetime
    priority: int
    identifier: str
    message: str
    run_id: str | None = None


class AttemptUnits(Protocol):
    """What attempts need of ``ServiceUnits``."""

    def start(self, unit: str, *, timeout_seconds: float) -> None:
        """Start; fine if it runs. A unit of Type=notify has then said READY."""
        ...

    def stop(self, unit: str, *, timeout_seconds: float) -> None:
        """Stop; fine if it does not run."""
        ...

    def reset_failed(self, unit: str) -> None:
        """Forget that it failed, and its count of restarts."""
        ...

    def state(self, unit: str) -> UnitState:
        """As it is now; a unit that does not exist has ``load`` ``not-found``."""
        ...

    def running(self, pattern: str) -> list[str]:
        """The names of the units that run, begin or end and match: ``claude-flow-run@*``."""
        ...

    def usage(self, unit: str) -> UnitUsage:
        """What it uses now and may use; of a unit that does not run, only its limits."""
        ...


class ServiceUnits(AttemptUnits, Protocol):
    """Service units of this host. Every method blocks and may raise ServiceError.

    ``timeout_seconds`` of a job (start, stop, restart, reload) bounds the wait until systemd
    has finished it with success; of the other methods, the wait for systemd's answer. Units
    are named in full, ``claude-flow.service``.
    """

    def restart(self, unit: str, *, timeout_seconds: float) -> None:
        """Stop if it runs, then start."""
        ...

    def reload(self, unit: str, *, timeout_seconds: float) -> None:
        """Ask a running service to read its configuration anew."""
        ...

    def enable(self, unit: str, *, timeout_seconds: float = 30) -> None:
        """Start it at every boot from now on."""
        ...

    def disable(self, unit: str, *, timeout_seconds: float = 30) -> None:
        """No longer start it at boot; whether it runs now stays as it is."""
        ...

    def kill(
        self, unit: str, *, signal: int, whom: str = "all", timeout_seconds: float = 30
    ) -> None:
        """Send a signal to its ``all`` or its ``main`` process."""
        ...

    def backs_off(self, unit: str) -> bool:
        """Whether systemd itself waits longer before each further restart."""
        ...

    def log_namespace(self, unit: str) -> str | None:
        """The journal's namespace that the unit logs to; None for the host's own journal."""
        ...


class Journal(Protocol):
    """The host's journal."""

    def tail(self, unit: str, namespace: str | None, lines: int) -> list[JournalLine]:
        """The latest lines about a unit, its own and systemd's, oldest first.

        Raises ServiceError where there is no journal or this user may not read it.
        """
        ...
