"""Attempts as child processes of the daemon, each under a ``claude-flow-run`` of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from claude_flow.errors import ExecutionError
from claude_flow.execution.cancellation import to_the_end
from claude_flow.execution.directories import remove
from claude_flow.execution.event_log import EventKeeping
from claude_flow.execution.following import (
    OVERDUE_SECONDS,
    Follower,
    Marks,
    require_end_of,
    require_lease_of,
)
from claude_flow.execution.lease import FileLease
from claude_flow.execution.logs import last_text
from claude_flow.execution.preparation import write_agent_files
from claude_flow.execution.refusals import Refusals
from claude_flow.execution.sandbox import Sandbox, Wrapped
from claude_flow.execution.spec import AttemptFiles, AttemptResult, AttemptSpec
from claude_flow.execution.sweep import end_processes, marked
from claude_flow.journal import redactor
from claude_flow.ports import (
    AGENT_PART,
    AgentCommand,
    AgentOutput,
    AgentTask,
    Clock,
    Limits,
    ProcessEnded,
    Progress,
)

_COMPLAINT_BYTES = 4096
_SIGNALLED = 128
# What claude-flow-run may take beyond the grace to kill the rest and to write its result.
_RUNNER_SECONDS = 7.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """Where attempts are kept and how they are ended.

    ``grace_seconds`` lie between SIGTERM and SIGKILL; each stream of an attempt is kept up to
    ``stream_limit_bytes`` (and its last words beyond that), its events up to
    ``events_limit_bytes``. What still runs ``overdue_seconds`` after its time-out is ended without
    its watcher. ``lease`` is this host's, where others could take its runs over.
    """

    runs_directory: Path
    grace_seconds: float = 8.0
    stream_limit_bytes: int = 64 * 1024 * 1024
    events_limit_bytes: int = 16 * 1024 * 1024
    poll_seconds: float = 0.1
    overdue_seconds: float = OVERDUE_SECONDS
    lease: FileLease | None = None


class LocalExecution:
    """Implements ``ports.Execution`` with child processes; works in any thread's event loop.

    Without a ``sandbox`` they see what this process's user sees.
    """

    def __init__(
        self,
        settings: LocalSettings,
        *,
        clock: Clock,
        sandbox: Sandbox | None = None,
        redact: Callable[[str], str] = redactor.redact,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._sandbox = sandbox
        self._events = EventKeeping(
            runs_directory=settings.runs_directory,
            clock=clock,
            redact=redact,
            limit_bytes=settings.events_limit_bytes,
        )

    async def is_begun(
        self,
        run_id: str,  # noqa: ARG002 - the port's
        attempt: int,  # noqa: ARG002 - likewise
        part: str = AGENT_PART,  # noqa: ARG002 - likewise
    ) -> bool:
        """Never: an agent ends with the daemon that started it. See ``ports.Execution``."""
        return False

    async def end(self, run_id: str, attempt: int) -> None:
        """Nothing: see ``is_begun`` and ``ports.Execution``."""

    async def run(
        self,
        task: AgentTask,
        command: AgentCommand,
        limits: Limits,
        output: AgentOutput,
        on_progress: Callable[[Progress], None],
    ) -> ProcessEnded:
        """Run the agent to its end. See ``ports.Execution.run``."""
        marker = {
            "CLAUDE_FLOW_RUN_ID": task.run_id,
            # The id alone could belong to another installation on this host.
            "CLAUDE_FLOW_WORKSPACE": str(task.workspace),
        }
        command = replace(command, environment={**command.environment, **marker})
        lease = self._settings.lease
        begun_at = 0.0 if lease is None else lease.require()
        await self._sweep(task, marker)
        files, wrapped = self._write_down(task, command, limits)
        # An attempt that an earlier daemon left unfinished has logs already; they are kept.
        begun = Marks.at_the_end(files)
        started_at = self._clock()
        events = await asyncio.to_thread(self._events.open, task, started_at)
        refusals = Refusals(
            files.refusals,
            offset=begun.refusals,
            what=f"{task.part} of attempt {task.attempt} of {task.run_id}",
            redact=self._events.redact,
        )
        follower = Follower(
            files,
            begun,
            output,
            on_progress,
            events,
            poll_seconds=self._settings.poll_seconds,
            longest_seconds=limits.timeout_seconds + self._settings.overdue_seconds,
            refusals=refusals,
        )
        with follower.telling_if_cut_short():
            process = await self._to_the_end(task, wrapped, files, follower, marker)
            follower.read_rest()
            runner_code = await process.wait()
            result = AttemptResult.read(files.result) or _without_result(files, begun, runner_code)
            require_lease_of(result, lease, since=begun_at)
            ended = follower.ended(result, started_at, self._clock())
        require_end_of(result.left, task)
        return ended

    async def _to_the_end(
        self,
        task: AgentTask,
        wrapped: Wrapped,
        files: AttemptFiles,
        follower: Follower,
        marker: Mapping[str, str],
    ) -> Process:
        """Start the attempt's process and read along; nothing is left of it afterwards."""
        environment = {**wrapped.unseen, **wrapped.command.environment}
        starting = asyncio.create_task(_start_runner(files, environment))
        ends: list[asyncio.Task[None]] = []

        def give_up() -> None:
            ends.append(asyncio.create_task(_finish(lambda: self._end_runner(process))))

        try:
            try:
                process = await to_the_end(starting)
                await follower.follow(asyncio.ensure_future(process.wait()), give_up)
                for end in ends:
                    await end
            finally:
                if starting.exception() is None:
                    await _finish(lambda: self._end_runner(starting.result()))
        finally:
            await self._sweep(task, marker)
            await _finish(lambda: _remove_all(wrapped.command.directories))
        return process

    def _write_down(
        self, task: AgentTask, command: AgentCommand, limits: Limits
    ) -> tuple[AttemptFiles, Wrapped]:
        """Have all that it starts with; gives its files, and the command as it is started."""
        directory = AttemptFiles.of(task, self._settings.runs_directory).directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            write_agent_files(command, task.scratch, for_group=False)
            wrapped = Wrapped(command)
            if self._sandbox is not None:
                wrapped = self._sandbox.wrap(task, command)
            spec = self._spec(task, wrapped, limits, directory)
            spec.files.result.unlink(missing_ok=True)
            spec.files.prompt.write_text(command.stdin, encoding="utf-8", errors="replace")
            spec.write()
        except OSError as error:
            raise ExecutionError(
                f"could not prepare attempt {task.attempt} of {task.run_id}: {error}",
                hint="check the space and the rights of the service's state directory",
            ) from error
        return spec.files, wrapped

    def _spec(
        self, task: AgentTask, wrapped: Wrapped, limits: Limits, directory: Path
    ) -> AttemptSpec:
        return AttemptSpec(
            argv=wrapped.command.argv,
            environment=tuple(sorted(wrapped.command.environment)),
            hosts=wrapped.hosts,
            workspace=str(task.workspace),
            directory=str(directory),
            timeout_seconds=limits.timeout_seconds,
            stall_timeout_seconds=limits.stall_timeout_seconds,
            grace_seconds=self._settings.grace_seconds,
            stream_limit_bytes=self._settings.stream_limit_bytes,
            ends_with_stdin=True,
            lease=None if self._settings.lease is None else str(self._settings.lease.path),
        )

    def _end_runner(self, process: Process) -> None:
        """Have ``claude-flow-run`` end the agent, or kill it; blocks until it is gone."""
        patience = self._settings.grace_seconds + _RUNNER_SECONDS
        give_up_at = time.monotonic() + patience
        _signal(process, signal.SIGTERM)
        while process.returncode is None:
            if time.monotonic() >= give_up_at:
                _signal(process, signal.SIGKILL)
            time.sleep(_LOOK_SECONDS)

    async def _sweep(self, task: AgentTask, marker: Mapping[str, str]) -> None:
        immortal: list[int] = []

        def sweep() -> None:
            immortal.extend(
                end_processes(
                    marked(marker),
                    grace_seconds=self._settings.grace_seconds,
                    clock=time.monotonic,
                    wait=lambda: time.sleep(_LOOK_SECONDS),
                )
            )

        await _finish(sweep)
        require_end_of(immortal, task)


async def _start_runner(files: AttemptFiles, environment: Mapping[str, str]) -> Process:
    with _open_to_append(files.runner) as complaints:
        try:
            # -I: what the agent's environment says to Python is meant for the agent.
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-m",
                "claude_flow.execution.main",
                str(files.spec),
                cwd="/",
                env=dict(environment),
                stdin=PIPE,  # never written to: its end tells that the daemon is gone
                stdout=DEVNULL,
                stderr=complaints,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise ExecutionError(f"could not start claude-flow-run: {error}") from error


def _without_result(files: AttemptFiles, begun: Marks, runner_code: int) -> AttemptResult:
    if runner_code < 0:  # killed, most likely for want of memory, and its agent with it
        return AttemptResult(_SIGNALLED - runner_code, None)
    complaint = last_text(files.runner, since=begun.runner, limit_bytes=_COMPLAINT_BYTES)
    last_line = complaint.strip().rpartition("\n")[2] or "it said nothing"
    raise ExecutionError(
        f"claude-flow-run left with exit code {runner_code} and without a result: {last_line}",
        hint=f"see {files.runner}",
    )


def _remove_all(directories: tuple[Path, ...]) -> None:
    for directory in directories:
        remove(directory)


def _open_to_append(path: Path) -> IO[bytes]:
    return path.open("ab")


async def _finish(action: Callable[[], None]) -> None:
    """Do a blocking action in a thread to its very end, then pass a cancellation on."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="attempt-end") as pool:
        await to_the_end(asyncio.get_running_loop().run_in_executor(pool, action))


def _signal(process: Process, number: signal.Signals) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
