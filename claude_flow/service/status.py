"""What is known of the service at one moment, as values and as JSON."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from claude_flow.errors import ServiceError
from claude_flow.journal import redactor
from claude_flow.model.run import to_rfc3339
from claude_flow.ports import JournalLine, UnitState
from claude_flow.service.processes import ProcessStatus

_PUBLIC_MODE = 0o644  # there is nothing secret in it, and monitoring reads it as another user


class Verdict(StrEnum):
    """The sum of it, in the words of LSB's status codes."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class MainProcess(ProcessStatus):
    """The daemon's main process; ``children`` are the service's other ones, all generations."""

    started_at: datetime
    uptime_seconds: float
    children: int

    def to_dict(self) -> dict[str, Any]:
        """The process as JSON."""
        return asdict(self) | {
            "started_at": to_rfc3339(self.started_at),
            "uptime_seconds": round(self.uptime_seconds, 3),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the whole service uses and may use, and what its disk has left.

    Open files, connections and storage are sums over the processes that this user may see; the
    rest is what systemd and the kernel count for the unit. Both percentages are of one core,
    ``cpu_percent`` over ``interval_seconds``.
    """

    memory_bytes: int | None = None
    memory_max_bytes: int | None = None
    oom_kills: int | None = None
    cpu_seconds: float | None = None
    cpu_percent: float | None = None
    cpu_quota_percent: float | None = None
    interval_seconds: float | None = None
    throttled_seconds: float | None = None
    tasks: int | None = None
    tasks_max: int | None = None
    open_files: int | None = None
    connections: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The resources as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """The daemon's own word on its health.

    ``status`` is ``pass``, ``warn`` or ``fail``; ``refused`` if nothing listens, ``silent`` if
    something is there that does not answer, ``unknown`` if its address is not known. The last
    three come with a ``detail``.
    """

    status: str
    address: str | None = None
    version: str | None = None
    checks: Mapping[str, Any] = field(default_factory=dict)
    detail: str | None = None

    @property
    def is_healthy(self) -> bool:
        """A warning is healthy."""
        return self.status in {"pass", "warn"}

    def to_dict(self) -> dict[str, Any]:
        """The health as JSON."""
        return {
            "status": self.status,
            "address": self.address,
            "version": self.version,
            "checks": dict(self.checks),
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The service as its unit, its processes, its resources, its journal and its own word tell it.

    ``unit`` is None where systemd could not be asked; ``unit_error`` says why. ``processes``
    are all that the service has, parents before their children; ``journal`` is its end, oldest
    first, and ``journal_error`` says why it could not be read.
    """

    at: datetime
    unit: UnitState | None
    unit_error: str | None
    process: MainProcess | None
    resources: Resources
    health: HealthStatus
    processes: tuple[ProcessStatus, ...] = ()
    journal: tuple[JournalLine, ...] = ()
    journal_error: str | None = None

    @property
    def verdict(self) -> Verdict:
        """The sum of it. A daemon that answers is running, whoever started it."""
        if self.health.is_healthy:
            return Verdict.HEALTHY
        if self.health.status == "fail":
            return Verdict.UNHEALTHY
        if self.unit is None or self.unit.load == "not-found":
            return Verdict.STOPPED if self.health.status == "refused" else Verdict.UNKNOWN
        return Verdict.STOPPED if self.unit.active in {"inactive", "failed"} else Verdict.UNHEALTHY

    def to_dict(self) -> dict[str, Any]:
        """The status as JSON."""
        return {
            "at": to_rfc3339(self.at),
            "verdict": self.verdict,
            "unit": None if self.unit is None else _unit_to_dict(self.unit),
            "unit_error": self.unit_error,
            "process": None if self.process is None else self.process.to_dict(),
            "processes": [asdict(process) for process in self.processes],
            "resources": self.resources.to_dict(),
            "health": self.health.to_dict(),
            "journal": [_line_to_dict(line) for line in self.journal],
            "journal_error": self.journal_error,
        }


def _line_to_dict(line: JournalLine) -> dict[str, Any]:
    return {
        "at": to_rfc3339(line.at),
        "priority": line.priority,
        "identifier": line.identifier,
        "message": line.message,
        "run_id": line.run_id,
    }


def _unit_to_dict(unit: UnitState) -> dict[str, Any]:
    return {
        "name": unit.unit,
        "load": unit.load,
        "active": unit.active,
        "sub": unit.sub,
        "file": unit.file,
        "result": unit.result,
        "main_pid": unit.main_pid,
        "exit_status": unit.exit_status,
        "restarts": unit.restarts,
        "status_text": unit.status_text,
        "active_since": to_rfc3339(unit.active_since),
    }


def write_status(path: Path, status: ServiceStatus) -> None:
    """Replace the status file as a whole, never half. Raises ServiceError.

    The journal's lines stay out: the file is for everybody on the host, the journal is not.
    """
    public = replace(status, journal=(), journal_error=None)
    text = redactor.redact(json.dumps(public.to_dict(), indent=2)) + "\n"
    try:
        # A name nobody can guess: the directory may belong to a less trusted user.
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                os.fchmod(number, _PUBLIC_MODE)
                file.write(text)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ServiceError(
            f"the status file {path} cannot be written: {error.strerror or error}",
            hint="see monitoring.status_file; its directory must be writable",
        ) from error
