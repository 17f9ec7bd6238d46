"""ServiceManager: the policy of start, stop and status of the daemon's unit."""

from __future__ import annotations

import logging
import os
import shutil
import signal as signals
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from claude_flow.config import ConfigManager
from claude_flow.errors import EXIT_CONFIGURATION, ServiceError
from claude_flow.ports import Clock, Journal, JournalLine, ServiceUnits, UnitState, UnitUsage
from claude_flow.service.client import DaemonClient, DaemonUnreachableError
from claude_flow.service.places import daemon_address
from claude_flow.service.processes import ProcessStatus, ProcessWatch, family
from claude_flow.service.restarts import restart_pause
from claude_flow.service.status import (
    HealthStatus,
    MainProcess,
    Resources,
    ServiceStatus,
    write_status,
)
from claude_flow.systemd.journal_tail import SystemdJournal
from claude_flow.systemd.manager import SystemdUnits

_log = logging.getLogger(__name__)

_KILLED_SECONDS = 10.0
_ANSWER_SECONDS = 30.0
_CPU_INTERVAL_SECONDS = 0.1
_JOURNAL_LINES = 10


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ServiceManager:
    """The daemon on this host, as systemd runs it. All methods block.

    Time-outs are in seconds; None takes the configured ones. Every method that asks systemd
    for something raises ServiceError if systemd or its bus is not there, the unit is missing,
    this user may not, or the service does not get there in time; the error tells the unit's own
    result.
    """

    def __init__(
        self,
        config: ConfigManager,
        *,
        units: ServiceUnits | None = None,
        journal: Journal | None = None,
        environ: Mapping[str, str] | None = None,
        now: Clock = _utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._units = SystemdUnits() if units is None else units
        self._journal = SystemdJournal() if journal is None else journal
        self._environ = os.environ if environ is None else environ
        self._now = now
        self._monotonic = monotonic
        self._sleep = sleep

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

    def enable(self, timeout: float = _ANSWER_SECONDS) -> None:
        """Start the service at every boot from now on."""
        self._units.enable(self.unit, timeout_seconds=timeout)

    def disable(self, timeout: float = _ANSWER_SECONDS) -> None:
        """No longer start the service at boot; it goes on if it runs."""
        self._units.disable(self.unit, timeout_seconds=timeout)

    def kill(self, signal: int = signals.SIGKILL, timeout: float = _ANSWER_SECONDS) -> None:
        """Send a signal to every process of the service."""
        if not self._is_still_there():
            raise ServiceError(f"{self.unit} is not running: there is nothing to kill")
        self._units.kill(self.unit, signal=signal, timeout_seconds=timeout)

    def is_active(self) -> bool:
        """Whether systemd has the service running."""
        return self._units.state(self.unit).is_active

    def is_healthy(self) -> bool:
        """Whether the daemon answers and says that it is well; a warning is well."""
        return self._health().is_healthy

    def restart_pause(self) -> float:
        """Seconds that the daemon, just started by systemd, is to wait before it begins.

        0 unless it was restarted again and again by a systemd that does not wait longer each
        time.
        """
        try:
            restarts = self._units.state(self.unit).restarts
            return 0.0 if self._units.backs_off(self.unit) else restart_pause(restarts)
        except ServiceError as error:
            _log.info("%s", error)
            return 0.0

    def log_namespace(self) -> str | None:
        """The journal's namespace that the service logs to; None for the host's own journal."""
        return self._units.log_namespace(self.unit)

    def status(self, *, journal_lines: int = _JOURNAL_LINES) -> ServiceStatus:
        """All that is known, also without systemd; written to the status file too.

        A status file that cannot be written is logged, not raised: reading the status must
        work for users who may not write there.
        """
        unit, unit_error = self._unit_state()
        usage = self._usage(unit)
        # The health's answer and the journal fall into the interval that the CPU is watched.
        watch = ProcessWatch(
            _pids(unit, usage),
            shortest_seconds=_CPU_INTERVAL_SECONDS,
            monotonic=self._monotonic,
            sleep=self._sleep,
        )
        health = self._health()
        journal, journal_error = self._tail(unit, journal_lines)
        processes = watch.finish()
        status = ServiceStatus(
            at=self._now(),
            unit=unit,
            unit_error=unit_error,
            process=_main_process(unit, usage, processes),
            processes=processes,
            resources=self._resources(usage, processes, watch.seconds),
            health=health,
            journal=journal,
            journal_error=journal_error,
        )
        try:
            write_status(Path(self._config.get("monitoring.status_file")), status)
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

    def _usage(self, unit: UnitState | None) -> UnitUsage:
        if unit is None or unit.load == "not-found":
            return UnitUsage()
        try:
            return self._units.usage(self.unit)
        except ServiceError as error:
            _log.info("%s", error)  # it has just been asked for its state
            return UnitUsage()

    def _tail(
        self, unit: UnitState | None, lines: int
    ) -> tuple[tuple[JournalLine, ...], str | None]:
        if unit is None or lines == 0:
            return (), None
        try:
            found = self._journal.tail(self.unit, self.log_namespace(), lines)
        except ServiceError as error:
            return (), error.message
        return tuple(found), None

    def _resources(
        self, usage: UnitUsage, processes: tuple[ProcessStatus, ...], seconds: float
    ) -> Resources:
        try:
            disk = shutil.disk_usage(self._config.get("service.state_directory"))
        except OSError:
            disk = None
        percent = _sum(process.cpu_percent for process in processes)
        return Resources(
            memory_bytes=usage.memory_bytes,
            memory_max_bytes=usage.memory_max_bytes,
            oom_kills=usage.oom_kills,
            cpu_seconds=usage.cpu_seconds,
            cpu_percent=None if percent is None else round(percent, 1),
            cpu_quota_percent=usage.cpu_quota_percent,
            interval_seconds=round(seconds, 3) if processes else None,
            throttled_seconds=usage.throttled_seconds,
            tasks=usage.tasks,
            tasks_max=usage.tasks_max,
            open_files=_sum(process.open_files for process in processes),
            connections=_sum(process.connections for process in processes),
            read_bytes=_sum(process.read_bytes for process in processes),
            written_bytes=_sum(process.written_bytes for process in processes),
            disk_free_bytes=disk.free if disk else None,
            disk_total_bytes=disk.total if disk else None,
        )


_Figure = TypeVar("_Figure", int, float)


def _sum(figures: Iterable[_Figure | None]) -> _Figure | None:
    """The sum of what is known; None if nothing is."""
    known = [figure for figure in figures if figure is not None]
    return sum(known[1:], known[0]) if known else None


def _pids(unit: UnitState | None, usage: UnitUsage) -> Iterable[int]:
    if usage.pids or unit is None or unit.main_pid is None:
        return usage.pids
    return family(unit.main_pid)  # where control groups are not told


def _main_process(
    unit: UnitState | None, usage: UnitUsage, processes: tuple[ProcessStatus, ...]
) -> MainProcess | None:
    if unit is None or usage.main_started_at is None or usage.main_uptime_seconds is None:
        return None
    main = next((each for each in processes if each.pid == unit.main_pid), None)
    if main is None:
        return None
    return MainProcess(
        **asdict(main),
        started_at=usage.main_started_at,
        uptime_seconds=usage.main_uptime_seconds,
        children=len(processes) - 1,
    )
