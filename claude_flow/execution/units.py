"""Attempts as systemd units: another user, limits of their own, and a life beyond the daemon's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from claude_flow.errors import EngineError, ExecutionError, LeaseLostError
from claude_flow.execution.directories import remove
from claude_flow.execution.event_log import EventKeeping
from claude_flow.execution.following import Follower, Marks, require_end_of
from claude_flow.execution.preparation import write_agent_files
from claude_flow.execution.spec import LEASE_LOST, AttemptFiles, AttemptResult
from claude_flow.execution.unit_control import Job, UnitControl, is_up, whole
from claude_flow.execution.unit_files import NO_ATTEMPT, UnitEnd, UnitRecord, instance_of, unit_of
from claude_flow.execution.unit_limits import LIMITS_HINT, UnitLimits, differing
from claude_flow.journal import redactor
from claude_flow.ports import (
    AGENT_PART,
    AgentCommand,
    AgentOutput,
    AgentPlaces,
    AgentTask,
    Clock,
    Limits,
    ProcessEnded,
    Progress,
)

_log = logging.getLogger(__name__)


class UnitExecution:
    """Implements ``ports.Execution`` with units.

    ``places`` says what of a run its agent may see; ``is_wanted`` whether a run goes on when
    this daemon ends.
    """

    def __init__(
        self,
        control: UnitControl,
        *,
        places: Callable[[str], AgentPlaces],
        is_wanted: Callable[[str], bool],
        clock: Clock,
        redact: Callable[[str], str] = redactor.redact,
    ) -> None:
        self._control = control
        self._places = places
        self._is_wanted = is_wanted
        self._clock = clock
        self._events = EventKeeping(
            runs_directory=control.settings.runs_directory,
            clock=clock,
            redact=redact,
            limit_bytes=control.settings.events_limit_bytes,
        )
        self._followed: set[str] = set()

    async def is_begun(self, run_id: str, attempt: int, part: str = AGENT_PART) -> bool:
        """See ``ports.Execution``. Raises ExecutionError if systemd cannot be asked."""
        return await asyncio.to_thread(self._recall, instance_of(run_id, attempt, part)) is not None

    async def end(self, run_id: str, attempt: int) -> None:
        """Stop the units of the attempt and forget them. See ``ports.Execution``."""
        await whole(lambda: self._end(run_id, attempt))

    async def run(
        self,
        task: AgentTask,
        command: AgentCommand,
        limits: Limits,
        output: AgentOutput,
        on_progress: Callable[[Progress], None],
    ) -> ProcessEnded:
        """Run the agent to its end, or follow it there. See ``ports.Execution.run``."""
        instance = instance_of(task.run_id, task.attempt, task.part)
        self._followed.add(instance)
        try:
            return await self._run(instance, task, command, limits, output, on_progress)
        finally:
            self._followed.discard(instance)

    async def _run(
        self,
        instance: str,
        task: AgentTask,
        command: AgentCommand,
        limits: Limits,
        output: AgentOutput,
        on_progress: Callable[[Progress], None],
    ) -> ProcessEnded:
        follower = None
        try:
            record, begun_at = await self._begin(instance, task, command, limits)
            files = self._control.files(record)
            events = await asyncio.to_thread(self._events.open, task, record.started_at)
            settings = self._control.settings
            follower = Follower(
                files,
                record.begun,
                output,
                on_progress,
                events,
                poll_seconds=settings.poll_seconds,
                longest_seconds=limits.timeout_seconds + settings.overdue_seconds,
            )
            end = record.end or await self._follow(instance, files, follower, begun_at)
        except LeaseLostError as error:
            await whole(lambda: self._clear(instance, command))
            if follower is not None:
                follower.cut_short(str(error))
            raise
        except asyncio.CancelledError:
            if not await asyncio.to_thread(self._goes_on, task.run_id):
                await whole(lambda: self._control.stop(instance))
                await whole(lambda: self._clear(instance, command))
                if follower is not None:
                    follower.cut_short("the run was cancelled")
            raise
        except ExecutionError as error:
            if follower is not None:
                follower.cut_short(str(error))
            raise
        follower.read_rest()
        if record.end is None:
            await whole(lambda: self._note_end(instance, record, end))
        await whole(lambda: self._clear(instance, command))
        ended = follower.ended(end.result, record.started_at, end.at)
        require_end_of(end.result.left, task)
        return ended

    def end_orphans(self, is_wanted: Callable[[str], bool]) -> None:
        """Stop the units of runs that nobody wants any more, and forget such runs. Blocks.

        Raises ExecutionError if one does not stop or systemd cannot be asked.
        """
        known = {name: directory.recall() for name, directory in self._control.directories.all()}
        lease = self._control.settings.lease
        for instance in self._control.running():
            record = known.get(instance)
            if record is None or record.attempt == NO_ATTEMPT or not is_wanted(record.run_id):
                _log.warning("%s belongs to no run: stopping it", unit_of(instance))
                self._control.stop(instance)
            elif lease is not None and not lease.is_held():
                _log.warning(
                    "%s may be another host's by now: stopping it, which is no attempt",
                    unit_of(instance),
                )
                self._control.stop(instance)
                self._control.directories.of(instance).remove()
        self._forget(is_wanted)

    def warn_of_limits(self, wanted: UnitLimits) -> None:
        """Say in the log where attempts' units have other limits. Blocks."""
        try:
            found = differing(wanted, self._control.limits())
        except ExecutionError as error:
            _log.warning("cannot see the limits of attempts' units: %s", error)
            return
        for difference in found:
            _log.warning("%s: %s", difference, LIMITS_HINT)

    def _end(self, run_id: str, attempt: int) -> None:
        for instance, directory in list(self._control.directories.all()):
            record = directory.recall()
            if record is None or (record.run_id, record.attempt) != (run_id, attempt):
                continue
            if is_up(self._control.state(instance)):
                _log.warning("stopping %s", unit_of(instance))
                self._control.stop(instance)
            self._control.forget_failure(instance)
            directory.remove()

    def _recall(self, instance: str) -> UnitRecord | None:
        """The record of an execution that runs or ended by itself; None if there was none.

        One that was cut short, by a reboot or for want of the host's lease, counts as none.
        """
        record = self._control.directories.of(instance).recall()
        if record is None or record.end is not None:
            return record
        state = self._control.state(instance)
        if is_up(state):
            return record
        result = AttemptResult.read(self._control.files(record).result)
        if result is None:
            return record if state.active == "failed" else None
        return None if result.stopped == LEASE_LOST else record

    async def _begin(
        self, instance: str, task: AgentTask, command: AgentCommand, limits: Limits
    ) -> tuple[UnitRecord, float]:
        """Its record, and when it began by the lease's clock; 0 for long ago."""
        record = await asyncio.to_thread(self._recall, instance)
        if record is None:
            begun_at = self._control.moment()
            return await whole(lambda: self._start(instance, task, command, limits)), begun_at
        _log.info("%s goes on from an earlier daemon", unit_of(instance))
        return record, 0.0

    def _start(
        self, instance: str, task: AgentTask, command: AgentCommand, limits: Limits
    ) -> UnitRecord:
        self._forget(self._is_wanted)
        files = AttemptFiles.of(task, self._control.settings.runs_directory)
        record = UnitRecord(
            run_id=task.run_id,
            attempt=task.attempt,
            part=task.part,
            started_at=self._clock(),
            begun=Marks.at_the_end(files),
        )
        try:
            write_agent_files(command, task.scratch, for_group=True)
        except OSError as error:
            raise ExecutionError(
                f"could not prepare attempt {task.attempt} of {task.run_id}: {error}",
                hint="check the space and the rights of the service's state directory",
            ) from error
        job = Job(
            argv=command.argv,
            environment=command.environment,
            stdin=command.stdin,
            workspace=task.workspace,
            scratch=task.scratch,
            places=self._places(task.run_id),
            limits=limits,
        )
        self._control.start(instance, job, record)
        return record

    async def _follow(
        self, instance: str, files: AttemptFiles, follower: Follower, begun_at: float
    ) -> UnitEnd:
        """Read along until the unit has ended."""
        ended = asyncio.ensure_future(self._control.end(instance, files, begun_at=begun_at))
        stops: list[asyncio.Task[None]] = []

        def give_up() -> None:
            stops.append(asyncio.create_task(whole(lambda: self._control.stop(instance))))

        await follower.follow(ended, give_up)
        for stop in stops:
            await stop
        return UnitEnd(ended.result(), self._clock())

    def _note_end(self, instance: str, record: UnitRecord, end: UnitEnd) -> None:
        self._control.directories.of(instance).remember(replace(record, end=end))
        self._control.forget_failure(instance)

    def _goes_on(self, run_id: str) -> bool:
        try:
            return self._is_wanted(run_id)
        except EngineError as error:
            _log.warning("cannot tell whether %s is still wanted, so it goes on: %s", run_id, error)
            return True

    def _clear(self, instance: str, command: AgentCommand) -> None:
        self._control.directories.of(instance).forget_environment()
        for directory in command.directories:
            remove(directory)

    def _forget(self, is_wanted: Callable[[str], bool]) -> None:
        for instance, directory in list(self._control.directories.all()):
            if instance in self._followed:  # a hook of a run that has ended
                continue
            record = directory.recall()
            if record is None or not is_wanted(record.run_id):
                directory.remove()
