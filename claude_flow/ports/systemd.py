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
    (``success``, ``exit-code``, ``timeout``, ``watchdog``). Numbers are None where systemd
    does not count them.
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
    memory_bytes: int | None
    cpu_seconds: float | None
    tasks: int | None

    @property
    def is_active(self) -> bool:
        """Whether the service is up; during a reload it is."""
        return self.active in {"active", "reloading"}


class ServiceUnits(Protocol):
    """Service units of this host. Every method blocks and may raise ServiceError.

    Those with ``timeout_seconds`` return once systemd has finished the job, with success.
    Units are named in full, ``claude-flow.service``.
    """

    def start(self, unit: str, *, timeout_seconds: float) -> None:
        """Start; fine if it runs. A unit of Type=notify has then said READY."""
        ...

    def stop(self, unit: str, *, timeout_seconds: float) -> None:
        """Stop; fine if it does not run."""
        ...

    def restart(self, unit: str, *, timeout_seconds: float) -> None:
        """Stop if it runs, then start."""
        ...

    def reload(self, unit: str, *, timeout_seconds: float) -> None:
        """Ask a running service to read its configuration anew."""
        ...

    def enable(self, unit: str) -> None:
        """Start it at every boot from now on."""
        ...

    def disable(self, unit: str) -> None:
        """No longer start it at boot; whether it runs now stays as it is."""
        ...

    def kill(self, unit: str, *, signal: int, whom: str = "all") -> None:
        """Send a signal to its ``all`` or its ``main`` process."""
        ...

    def reset_failed(self, unit: str) -> None:
        """Forget that it failed, and its count of restarts."""
        ...

    def state(self, unit: str) -> UnitState:
        """As it is now; a unit that does not exist has ``load`` ``not-found``."""
        ...
