"""Helper programs (git) that work as the agent's user, in the agent's sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from claude_flow.errors import ExecutionError, ProcessError, ProcessTimedOutError
from claude_flow.execution.directories import remove
from claude_flow.execution.following import Marks
from claude_flow.execution.logs import last_text
from claude_flow.execution.unit_control import Job, UnitControl, is_up, whole
from claude_flow.execution.unit_files import NO_ATTEMPT, UnitRecord, instance_of, unit_of
from claude_flow.ports import AgentPlaces, Clock, Completed, Limits, Stop

_PART = "workspace"
_OUTPUT_BYTES = 1024 * 1024


class UnitProcesses:
    """Implements ``ports.Processes`` for one run, one program at a time.

    What a program makes belongs to the agent's user, who may then change its modes.
    """

    def __init__(
        self, control: UnitControl, run_id: str, places: AgentPlaces, *, clock: Clock
    ) -> None:
        self._control = control
        self._run_id = run_id
        self._places = places
        self._clock = clock

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: bytes | None = None,
        pass_fds: Sequence[int] = (),
        timeout_seconds: float,
    ) -> Completed:
        """Run ``argv`` to its end. See ``ports.Processes.run``; nothing is passed on."""
        if stdin is not None or pass_fds:
            raise ValueError("a unit takes neither input nor open files")
        instance = instance_of(self._run_id, NO_ATTEMPT, _PART)
        record = UnitRecord(
            run_id=self._run_id,
            attempt=NO_ATTEMPT,
            part=_PART,
            started_at=self._clock(),
            begun=Marks(0, 0, 0),
        )
        files = self._control.files(record)
        job = Job(
            argv=tuple(argv),
            environment=env,
            stdin="",
            workspace=cwd,
            scratch=files.directory / "scratch",
            places=self._places,
            limits=Limits(timeout_seconds, timeout_seconds),
        )
        begun_at = self._control.moment()
        try:
            await whole(lambda: self._start(instance, job, record))
            try:
                result = await self._control.end(instance, files, begun_at=begun_at)
            except asyncio.CancelledError:
                await whole(lambda: self._control.stop(instance))
                raise
            stdout, stderr = (
                last_text(path, since=0, limit_bytes=_OUTPUT_BYTES).encode()
                for path in (files.stdout, files.stderr)
            )
        except ExecutionError as error:
            raise ProcessError(error.message, hint=error.hint) from error
        finally:
            self._control.directories.of(instance).remove()
            remove(files.directory)
        if result.stopped == Stop.TIMED_OUT:
            raise ProcessTimedOutError(
                f"{argv[0]} was not done after {timeout_seconds:g} s in {unit_of(instance)}"
            )
        if result.stopped == Stop.OUT_OF_MEMORY:
            raise ProcessError(
                f"{argv[0]} was killed in {unit_of(instance)}: it needed more memory than "
                "execution.memory_max_bytes",
                hint="raise execution.memory_max_bytes and run the playbook",
            )
        return Completed(result.exit_code, stdout, stderr)

    def _start(self, instance: str, job: Job, record: UnitRecord) -> None:
        if is_up(self._control.state(instance)):
            self._control.stop(instance)
        files = self._control.files(record)
        remove(files.directory)
        job.scratch.mkdir(parents=True, exist_ok=True)
        self._control.start(instance, job, record)
