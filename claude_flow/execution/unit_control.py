"""Starting, watching and ending the units of attempts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from claude_flow.errors import ExecutionError, ServiceError
from claude_flow.execution.cancellation import to_the_end
from claude_flow.execution.following import OVERDUE_SECONDS, require_lease_of
from claude_flow.execution.lease import LEASE_FILE, FileLease
from claude_flow.execution.preparation import give_files, without_set_group_id
from claude_flow.execution.spec import AttemptFiles, AttemptResult, AttemptSpec
from claude_flow.execution.unit_files import (
    PREFIX,
    SUFFIX,
    UnitDirectories,
    UnitRecord,
    unit_of,
)
from claude_flow.execution.unit_limits import TEMPLATE_PROBE
from claude_flow.ports import AgentPlaces, AttemptUnits, Limits, Stop, UnitState, UnitUsage

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_SIGNALLED = 128
_SIGKILL = 9
_START_SECONDS = 60.0
# What a unit's stop takes beyond the grace: the template's TimeoutStopSec is less.
_STOP_SECONDS = 90.0
# systemd may be busy or its bus restarted; the attempt does not depend on either.
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSettings:
    """Where things of attempts are, and how they are ended.

    ``units_directory`` is the daemon's, on a temporary file system; ``seen_at`` is where a unit
    finds its own part of it. The role's template of the unit names the same places. ``lease`` is
    this host's, where others could take its runs over; its file lies in ``units_directory``.
    """

    runs_directory: Path
    units_directory: Path = Path("/run/claude-flow-run")
    seen_at: Path = Path("/var/lib/claude-flow/attempt")
    grace_seconds: float = 8.0
    stream_limit_bytes: int = 64 * 1024 * 1024
    events_limit_bytes: int = 16 * 1024 * 1024
    poll_seconds: float = 0.1
    look_seconds: float = 0.5
    """Between two questions to systemd for how a unit stands."""
    overdue_seconds: float = OVERDUE_SECONDS
    """What still runs so long after its time-out is ended without its watcher."""
    lease: FileLease | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A program that a unit runs, and what it may see."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    stdin: str
    workspace: Path
    scratch: Path
    places: AgentPlaces
    limits: Limits


class UnitControl:
    """The units of the template ``claude-flow-run@.service``, by instance.

    Blocks where it is not ``async``. Raises ExecutionError, also where systemd cannot be asked.
    """

    def __init__(self, settings: UnitSettings, units: AttemptUnits) -> None:
        self.settings = settings
        self.directories = UnitDirectories(settings.units_directory, settings.seen_at)
        self._units = units

    def moment(self) -> float:
        """This moment by the lease's clock; 0 without a lease."""
        return 0.0 if self.settings.lease is None else self.settings.lease.now()

    def state(self, instance: str) -> UnitState:
        """How the unit stands."""
        return self._asked(lambda: self._units.state(unit_of(instance)))

    def limits(self) -> UnitUsage:
        """What a unit of the template would be allowed."""
        return self._asked(lambda: self._units.usage(TEMPLATE_PROBE))

    def running(self) -> list[str]:
        """The instances that are up."""
        units = self._asked(lambda: self._units.running(f"{PREFIX}*{SUFFIX}"))
        return [unit.removeprefix(PREFIX).removesuffix(SUFFIX) for unit in units]

    def start(self, instance: str, job: Job, record: UnitRecord) -> None:
        """Lay everything down, the record as well, and start the unit. Raises LeaseLostError."""
        lease = self.settings.lease
        if lease is not None:
            lease.require()
        if is_up(self.state(instance)):
            self.stop(instance)  # nobody knows what it is
        unit = unit_of(instance)
        files = self.files(record)
        directory = self.directories.of(instance)
        try:
            give_files(files, prompt=job.stdin)
            for shared in (job.places.workspace, job.places.repository, job.scratch):
                without_set_group_id(shared, itself=shared != job.scratch)
            directory.lay_down(
                self._spec(job, files),
                job.environment,
                _links(files, job),
                None if lease is None else lease.path,
            )
            directory.remember(record)
        except OSError as error:
            raise ExecutionError(
                f"could not prepare {unit}: {error}",
                hint="check the space and the rights of the service's state directory and of "
                f"{self.settings.units_directory}: the playbook sets them",
            ) from error
        try:
            self._units.start(unit, timeout_seconds=_START_SECONDS)
        except ServiceError as error:
            directory.remove()
            raise ExecutionError(
                f"could not start {unit}: {error.message}", hint=error.hint
            ) from error

    def files(self, record: UnitRecord) -> AttemptFiles:
        """The files of an execution."""
        return AttemptFiles.of_part(
            self.settings.runs_directory, record.run_id, record.attempt, record.part
        )

    async def end(self, instance: str, files: AttemptFiles, *, begun_at: float) -> AttemptResult:
        """Wait until the unit has ended; how it ended.

        ``begun_at`` is when that was, by the lease's clock. Raises LeaseLostError.
        """
        state = await self._ended(instance)
        result = AttemptResult.read(files.result) or _without_result(state)
        require_lease_of(result, self.settings.lease, since=begun_at)
        return result

    async def _ended(self, instance: str) -> UnitState:
        told = False
        while True:
            try:
                state = await asyncio.to_thread(self.state, instance)
            except ExecutionError as error:
                if not told:
                    _log.warning("cannot see how %s is, asking again: %s", instance, error)
                told = True
                await asyncio.sleep(_PATIENCE_SECONDS)
                continue
            if not is_up(state):
                return state
            await asyncio.sleep(self.settings.look_seconds)

    def stop(self, instance: str) -> None:
        """Stop the unit and wait until nothing of it is left."""
        seconds = self.settings.grace_seconds + _STOP_SECONDS
        self._asked(lambda: self._units.stop(unit_of(instance), timeout_seconds=seconds))

    def forget_failure(self, instance: str) -> None:
        """Let systemd forget a unit that failed: it keeps one until somebody has seen it."""
        if self.state(instance).active == "failed":
            self._asked(lambda: self._units.reset_failed(unit_of(instance)))

    def _spec(self, job: Job, files: AttemptFiles) -> AttemptSpec:
        settings = self.settings
        shared = (job.places.workspace, job.places.repository, job.scratch)
        return AttemptSpec(
            argv=job.argv,
            environment=("GIT_CONFIG_SYSTEM", *sorted(job.environment)),
            workspace=str(job.workspace),
            directory=str(files.directory),
            timeout_seconds=job.limits.timeout_seconds,
            stall_timeout_seconds=job.limits.stall_timeout_seconds,
            grace_seconds=settings.grace_seconds,
            stream_limit_bytes=settings.stream_limit_bytes,
            ends_with_stdin=False,
            environment_file=str(settings.seen_at / "environment.json"),
            lease=None if settings.lease is None else str(settings.seen_at / LEASE_FILE),
            files_are_given=True,
            shared=tuple(map(str, shared)),
        )

    @staticmethod
    def _asked(ask: Callable[[], _T]) -> _T:
        try:
            return ask()
        except ServiceError as error:
            raise ExecutionError(error.message, hint=error.hint) from error


async def whole(work: Callable[[], _T]) -> _T:
    """Do it in a thread to its very end, then pass a cancellation on."""
    return await to_the_end(asyncio.ensure_future(asyncio.to_thread(work)))


def is_up(state: UnitState) -> bool:
    """Whether anything of a unit may be left."""
    return state.active not in {"inactive", "failed"}


def _links(files: AttemptFiles, job: Job) -> Mapping[str, Path]:
    """What the unit's template binds, by the names it knows."""
    links = {
        "workspace": job.places.workspace,
        "repository": job.places.repository,
        "objects": job.places.objects,
        "scratch": job.scratch,
        "prompt": files.prompt,
        "stdout": files.stdout,
        "stderr": files.stderr,
        "result": files.result,
    }
    if job.places.large_files is not None:
        links["large-files"] = job.places.large_files
    return links


def _without_result(state: UnitState) -> AttemptResult:
    """What systemd knows of an agent whose ``claude-flow-run`` could not say how it ended."""
    status = state.exit_status or 0
    match state.result:
        case "oom-kill":
            return AttemptResult(_SIGNALLED + (status or _SIGKILL), Stop.OUT_OF_MEMORY)
        case "signal" | "core-dump" | "watchdog" | "timeout":
            return AttemptResult(_SIGNALLED + (status or _SIGKILL), None)
        case _:
            raise ExecutionError(
                f"{state.unit} ended without a result: {state.result}, exit status {status}",
                hint=f"see: journalctl --namespace=* -u {state.unit}",
            )
