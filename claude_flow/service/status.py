"""What is known of the service at one moment, as values and as JSON."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from claude_flow.errors import ServiceError
from claude_flow.journal import redactor
from claude_flow.model.run import to_rfc3339
from claude_flow.ports import UnitState

_PUBLIC_MODE = 0o644  # there is nothing secret in it, and monitoring reads it as another user


class Verdict(StrEnum):
    """The sum of it, in the words of LSB's status codes."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """The daemon's main process; None where this user may not look."""

    pid: int
    started_at: datetime
    uptime_seconds: float
    cpu_seconds: float | None
    memory_bytes: int | None
    threads: int | None
    open_files: int | None
    children: int | None

    def to_dict(self) -> dict[str, Any]:
        """The process as JSON."""
        return {
            "pid": self.pid,
            "started_at": to_rfc3339(self.started_at),
            "uptime_seconds": round(self.uptime_seconds, 3),
            "cpu_seconds": self.cpu_seconds,
            "memory_bytes": self.memory_bytes,
            "threads": self.threads,
            "open_files": self.open_files,
            "children": self.children,
        }


@dataclass(frozen=True, slots=True)
class Resources:
    """What the whole service, its attempts included, uses, and what its disk has left."""

    memory_bytes: int | None = None
    cpu_seconds: float | None = None
    tasks: int | None = None
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The resources as JSON."""
        return {
            "memory_bytes": self.memory_bytes,
            "cpu_seconds": self.cpu_seconds,
            "tasks": self.tasks,
            "disk_free_bytes": self.disk_free_bytes,
            "disk_total_bytes": self.disk_total_bytes,
        }


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
    """The service as its unit, its process, its resources and its own word tell it.

    ``unit`` is None where systemd could not be asked; ``unit_error`` says why.
    """

    at: datetime
    unit: UnitState | None
    unit_error: str | None
    process: ProcessStatus | None
    resources: Resources
    health: HealthStatus

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
            "resources": self.resources.to_dict(),
            "health": self.health.to_dict(),
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


def write_status(path: Path, status: Mapping[str, Any]) -> None:
    """Replace the status file as a whole, never half. Raises ServiceError."""
    text = redactor.redact(json.dumps(status, indent=2)) + "\n"
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
