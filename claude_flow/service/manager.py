"""ServiceManager: the policy of start, stop and status of the daemon's unit."""

from __future__ import annotations

import logging
import os
import shutil
import signal as signals
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import psutil

from claude_flow.config import ConfigManager
from claude_flow.errors import EXIT_CONFIGURATION, ServiceError
from claude_flow.ports import Clock, ServiceUnits, UnitState
from claude_flow.service.client import DaemonClient, DaemonUnreachableError
from claude_flow.service.places import daemon_address
from claude_flow.service.status import (
    HealthStatus,
    ProcessStatus,
    Resources,
    ServiceStatus,
    write_status,
)
from claude_flow.systemd.manager import SystemdUnits

_log = logging.getLogger(__name__)

_KILLED_SECONDS = 10.0

_Seen = TypeVar("_Seen")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ServiceManager:
    """The daemon on this host, as systemd runs it. All methods block.

    Time-outs are in seconds; None takes the configured ones. Every method that asks systemd
    for something raises ServiceError if systemd is not there, refuses, or does not get the
    service there in time.
    """

    def __init__(
        self,
        config: ConfigManager,
        *,
        units: ServiceUnits | None = None,
        environ: Mapping[str, str] | None = None,
        now: Clock = _utc_now,
    ) -> None:
        self._config = config
        self._units = SystemdUnits() if units is None else units
        self._environ = os.environ if environ is None else environ
        self._now = now

    @property
    def unit(self) -> str:
        """The unit's name, ``claude-flow.service``."""
        name: str = self._config.get("systemd.unit")
        return name

    def start(self, timeout: float | None = None) -> None:
        """Start the service and wait until it is ready; fine if it runs."""
        self._forget_failure()
        self._begin(self._units.start, self._start_seconds(timeout))

    def stop(self, timeout: float | None = None, *, force: bool = False) -> None:
        """Stop the service and wait for its end; fine if it does not run.

        ``force`` kills what has not ended in time, the attempts under way included.
        """
        seconds = self._stop_seconds(timeout)
        try:
            self._units.stop(self.unit, timeout_seconds=seconds)
        except ServiceError:
            if not force or not self._is_still_there():
                raise
            _log.warning("%s did not stop within %g s: killing it", self.unit, seconds)
            self._units.kill(self.unit, signal=signals.SIGKILL)
            self._units.stop(self.unit, timeout_seconds=_KILLED_SECONDS)
            self._forget_failure()

    def restart(self, timeout: float | None = None) -> None:
        """Stop the service if it runs, start it and wait until it is ready."""
        self._forget_failure()
        both = self._stop_seconds(None) + self._start_seconds(None)
        self._begin(self._units.restart, both if timeout is None else timeout)

    def reload(self, timeout: float | None = None) -> None:
        """Have the running service read its configuration anew.

        Raises ConfigError, before systemd is asked, if the configuration is invalid now; the
        service keeps the last good one.
        """
        self._config.reload()
        # systemd may give the credential to the daemon alone: it judges that itself.
        self._config.require_startable(credential=False)
        if not self.is_active():
            raise ServiceError(
                f"{self.unit} is not running: there is nothing to reload",
                hint="start it with: claude-flowctl start",
            )
        self._units.reload(self.unit, timeout_seconds=self._start_seconds(timeout))

    def enable(self) -> None:
        """Start the service at every boot from now on."""
        self._units.enable(self.unit)

    def disable(self) -> None:
        """No longer start the service at boot; it goes on if it runs."""
        self._units.disable(self.unit)

    def kill(self, signal: int = signals.SIGKILL) -> None:
        """Send a signal to every process of the service."""
        if not self._is_still_there():
            raise ServiceError(f"{self.unit} is not running: there is nothing to kill")
        self._units.kill(self.unit, signal=signal)

    def is_active(self) -> bool:
        """Whether systemd has the service running."""
        return self._units.state(self.unit).is_active

    def is_healthy(self) -> bool:
        """Whether the daemon answers and says that it is well; a warning is well."""
        return self._health().is_healthy

    def status(self) -> ServiceStatus:
        """All that is known, also without systemd; written to the status file too.

        A status file that cannot be written is logged, not raised: reading the status must
        work for users who may not write there.
        """
        unit, unit_error = self._unit_state()
        status = ServiceStatus(
            at=self._now(),
            unit=unit,
            unit_error=unit_error,
            process=self._process(unit.main_pid if unit else None),
            resources=self._resources(unit),
            health=self._health(),
        )
        try:
            write_status(Path(self._config.get("monitoring.status_file")), status.to_dict())
        except ServiceError as error:
            _log.info("%s", error)
        return status

    def _begin(self, ask: Callable[..., None], seconds: float) -> None:
        try:
            ask(self.unit, timeout_seconds=seconds)
        except ServiceError as error:
            state, _ = self._unit_state()
            if state and state.active == "failed" and state.exit_status == EXIT_CONFIGURATION:
                raise ServiceError(
                    f"{self.unit} refuses its configuration",
                    hint="see what is wrong with: claude-flowctl config check",
                ) from error
            raise

    def _forget_failure(self) -> None:
        # Whoever asks by hand has seen the failures: systemd shall not count them on.
        if self._units.state(self.unit).active == "failed":
            self._units.reset_failed(self.unit)

    def _is_still_there(self) -> bool:
        return self._units.state(self.unit).active not in {"inactive", "failed"}

    def _unit_state(self) -> tuple[UnitState | None, str | None]:
        try:
            return self._units.state(self.unit), None
        except ServiceError as error:
            return None, error.message

    def _start_seconds(self, timeout: float | None) -> float:
        return self._config.get("systemd.start_timeout_seconds") if timeout is None else timeout

    def _stop_seconds(self, timeout: float | None) -> float:
        return self._config.get("systemd.stop_timeout_seconds") if timeout is None else timeout

    def _health(self) -> HealthStatus:
        try:
            address = daemon_address(self._config, self._environ)
        except ServiceError as error:
            return HealthStatus("unknown", detail=error.message)
        if address is None:
            # With a free port the daemon writes its address down for as long as it runs.
            return HealthStatus("refused", detail="no daemon has written its address down")
        try:
            answer = DaemonClient(address).health()
        except DaemonUnreachableError as error:
            status = "refused" if error.is_refused else "silent"
            return HealthStatus(status, address, detail=error.message)
        except ServiceError as error:
            return HealthStatus("unknown", address, detail=error.message)
        return HealthStatus(
            answer["status"],
            address,
            version=answer.get("version"),
            checks=answer.get("checks") or {},
            detail=answer.get("output"),
        )

    def _resources(self, unit: UnitState | None) -> Resources:
        try:
            disk = shutil.disk_usage(self._config.get("service.state_directory"))
        except OSError:
            disk = None
        return Resources(
            memory_bytes=unit.memory_bytes if unit else None,
            cpu_seconds=unit.cpu_seconds if unit else None,
            tasks=unit.tasks if unit else None,
            disk_free_bytes=disk.free if disk else None,
            disk_total_bytes=disk.total if disk else None,
        )

    def _process(self, pid: int | None) -> ProcessStatus | None:
        if pid is None:
            return None
        try:
            process = psutil.Process(pid)
            started_at = datetime.fromtimestamp(process.create_time(), UTC)
        except psutil.Error:  # it has just ended
            return None
        cpu = _allowed(process.cpu_times)
        memory = _allowed(process.memory_info)
        children = _allowed(lambda: process.children(recursive=True))
        return ProcessStatus(
            pid=pid,
            started_at=started_at,
            uptime_seconds=max(0.0, (self._now() - started_at).total_seconds()),
            cpu_seconds=round(cpu.user + cpu.system, 3) if cpu else None,
            memory_bytes=memory.rss if memory else None,
            threads=_allowed(process.num_threads),
            open_files=_allowed(process.num_fds),
            children=None if children is None else len(children),
        )


def _allowed(look: Callable[[], _Seen]) -> _Seen | None:
    try:
        return look()
    except psutil.Error:
        return None
