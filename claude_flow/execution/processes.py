"""Short-lived helper programs (git), run to their end: the package's one door to them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path

from claude_flow.errors import ProcessError, ProcessTimedOutError
from claude_flow.execution.cancellation import to_the_end
from claude_flow.ports import Completed

# Git removes its lock files on SIGTERM; a second or two is ample for that.
_GRACE_SECONDS = 2.0


class ProcessRunner:
    """Implements ``ports.Processes`` with real child processes.

    Works from any thread's event loop.
    """

    def __init__(self, *, grace_seconds: float = _GRACE_SECONDS) -> None:
        self._grace_seconds = grace_seconds

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
        """Run ``argv`` to its end. See ``ports.Processes.run``."""
        starting = asyncio.create_task(
            _start(argv, cwd=cwd, env=env, stdin=stdin, pass_fds=pass_fds)
        )
        try:
            process = await to_the_end(starting)
            async with asyncio.timeout(timeout_seconds):
                stdout, stderr = await process.communicate(stdin)
        except TimeoutError:
            raise ProcessTimedOutError(
                f"{argv[0]} was not done after {timeout_seconds:g} s in {cwd}"
            ) from None
        finally:
            if starting.exception() is None:
                await self._end_group(starting.result())
        exit_code = await process.wait()
        return Completed(exit_code, stdout, stderr)

    async def _end_group(self, process: Process) -> None:
        """End what is left of the process and of its group."""
        _signal_group(process, signal.SIGTERM)
        try:
            if process.returncode is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), self._grace_seconds)
        finally:
            _signal_group(process, signal.SIGKILL)
        if process.returncode is None:
            await process.wait()


async def _start(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes | None,
    pass_fds: Sequence[int],
) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env=dict(env),
            stdin=DEVNULL if stdin is None else PIPE,
            stdout=PIPE,
            stderr=PIPE,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    except OSError as error:
        raise _cannot_start(argv[0], cwd, error) from error


def _cannot_start(program: str, cwd: Path, error: OSError) -> ProcessError:
    # A missing directory and a missing program give the same error class.
    blame = f"program {program}" if cwd.is_dir() else f"directory {cwd}"
    return ProcessError(
        f"could not start {program}: {error.strerror} ({blame})",
        hint=f"check that the {blame} exists and that this user may use it",
    )


def _signal_group(process: Process, number: signal.Signals) -> None:
    # The process leads a session of its own, so its id is its group's id as well.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
