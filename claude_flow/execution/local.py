"""Attempts as child processes of the daemon, each under a ``claude-flow-run`` of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from claude_flow.errors import ExecutionError
from claude_flow.execution.cancellation import to_the_end
from claude_flow.execution.directories import make_empty, remove
from claude_flow.execution.limits import STALLED, TIMED_OUT
from claude_flow.execution.logs import LogTail, last_text, size
from claude_flow.execution.spec import AttemptFiles, AttemptResult, AttemptSpec
from claude_flow.execution.sweep import end_processes, marked
from claude_flow.ports import (
    AgentCommand,
    AgentOutput,
    AgentTask,
    Clock,
    Limits,
    ProcessEnded,
    Progress,
)

FATAL = "fatal"

_STDERR_TAIL_BYTES = 4096
_SIGNALLED = 128
# What claude-flow-run may take beyond the grace to kill the rest and to write its result.
_RUNNER_SECONDS = 7.0
_LOOK_SECONDS = 0.05
_OURS = {TIMED_OUT: TIMED_OUT, STALLED: STALLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """Where attempts are kept and how they are ended.

    ``grace_seconds`` lie between SIGTERM and SIGKILL; each stream of an attempt is kept up to
    ``stream_limit_bytes`` (and its last words beyond that).
    """

    runs_directory: Path
    grace_seconds: float = 8.0
    stream_limit_bytes: int = 64 * 1024 * 1024
    poll_seconds: float = 0.1


class LocalExecution:
    """Implements ``ports.Execution`` with child processes; works in any thread's event loop."""

    def __init__(self, settings: LocalSettings, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

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
        environment = {**command.environment, **marker}
        await self._sweep(task, marker)
        files = self._write_down(task, command, limits, environment)
        follower = _Follower(files, output, on_progress, self._settings.poll_seconds)
        started_at = self._clock()
        starting = asyncio.create_task(_start_runner(files, environment))
        try:
            try:
                process = await to_the_end(starting)
                await follower.follow(process)
            finally:
                if starting.exception() is None:
                    await _finish(lambda: self._end_runner(starting.result()))
        finally:
            await self._sweep(task, marker)
            await _finish(lambda: _remove_all(command.directories))
        follower.read_rest()
        ended, left = follower.ended(await process.wait(), started_at, self._clock())
        _require_end_of(left, task)
        return ended

    def _write_down(
        self,
        task: AgentTask,
        command: AgentCommand,
        limits: Limits,
        environment: Mapping[str, str],
    ) -> AttemptFiles:
        directory = AttemptFiles.of(task, self._settings.runs_directory).directory
        spec = AttemptSpec(
            argv=command.argv,
            environment=tuple(sorted(environment)),
            workspace=str(task.workspace),
            directory=str(directory),
            timeout_seconds=limits.timeout_seconds,
            stall_timeout_seconds=limits.stall_timeout_seconds,
            grace_seconds=self._settings.grace_seconds,
            stream_limit_bytes=self._settings.stream_limit_bytes,
            ends_with_stdin=True,
        )
        try:
            for wanted in (directory, task.scratch):
                wanted.mkdir(parents=True, exist_ok=True)
            for wanted in command.directories:
                make_empty(wanted)
            # Texts come from issues and may hold anything, lone surrogates included.
            for path, text in command.files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", errors="replace")
                path.chmod(0o700 if path in command.executable else 0o600)
            spec.files.result.unlink(missing_ok=True)
            spec.files.prompt.write_text(command.stdin, encoding="utf-8", errors="replace")
            spec.write()
        except OSError as error:
            raise ExecutionError(
                f"could not prepare attempt {task.attempt} of {task.run_id}: {error}",
                hint="check the space and the rights of the service's state directory",
            ) from error
        return spec.files

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
        _require_end_of(immortal, task)


class _Follower:
    """Reads what the agent writes while it runs and stops it where going on is pointless."""

    def __init__(
        self,
        files: AttemptFiles,
        output: AgentOutput,
        on_progress: Callable[[Progress], None],
        poll_seconds: float,
    ) -> None:
        self._files = files
        self._output = output
        self._on_progress = on_progress
        self._poll_seconds = poll_seconds
        # An attempt that an earlier daemon left unfinished has logs already; they are kept.
        self._tail = LogTail(files.stdout, offset=size(files.stdout))
        self._stderr_from = size(files.stderr)
        self._runner_from = size(files.runner)
        self._told: Progress | None = None
        self._gave_up = False

    async def follow(self, process: Process) -> None:
        """Feed the output until the process has ended."""
        ended = asyncio.ensure_future(process.wait())
        try:
            while not ended.done():
                more = self._read()
                if self._output.fatal is not None and not self._gave_up:
                    self._gave_up = True
                    _signal(process, signal.SIGTERM)
                await asyncio.wait({ended}, timeout=0 if more else self._poll_seconds)
        finally:
            ended.cancel()

    def read_rest(self) -> None:
        """Feed what came last."""
        while self._read():
            pass
        self._feed(self._tail.rest())

    def _read(self) -> bool:
        lines = self._tail.lines()
        self._feed(lines)
        return bool(lines)

    def _feed(self, lines: list[str]) -> None:
        for line in lines:
            self._output.feed(line)
        progress = self._output.progress
        if progress != self._told:
            self._told = progress
            self._on_progress(progress)

    def ended(
        self, runner_code: int, started_at: datetime, ended_at: datetime
    ) -> tuple[ProcessEnded, Sequence[int]]:
        """How it ended, as ``claude-flow-run`` wrote it down, and what it could not end."""
        result = AttemptResult.read(self._files.result) or self._without_result(runner_code)
        stderr_tail = last_text(
            self._files.stderr, since=self._stderr_from, limit_bytes=_STDERR_TAIL_BYTES
        )
        ended = ProcessEnded(
            exit_code=result.exit_code,
            # Somebody else's SIGTERM is no judgement of ours: the exit code tells it.
            stopped=FATAL if self._gave_up else _OURS.get(result.stopped or ""),
            started_at=started_at,
            ended_at=ended_at,
            stderr_tail=stderr_tail,
        )
        return ended, result.left

    def _without_result(self, runner_code: int) -> AttemptResult:
        if runner_code < 0:  # killed, most likely for want of memory, and its agent with it
            return AttemptResult(_SIGNALLED - runner_code, None)
        complaint = last_text(
            self._files.runner, since=self._runner_from, limit_bytes=_STDERR_TAIL_BYTES
        )
        last_line = complaint.strip().rpartition("\n")[2] or "it said nothing"
        raise ExecutionError(
            f"claude-flow-run left with exit code {runner_code} and without a result: {last_line}",
            hint=f"see {self._files.runner}",
        )


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


def _require_end_of(left: Sequence[int], task: AgentTask) -> None:
    if left:
        raise ExecutionError(
            f"processes {list(left)} of run {task.run_id} do not end, not even by SIGKILL",
            hint="they hang in the kernel or belong to another user: look at the host's disks "
            "and mounts, and at what the agent may start as another user",
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
