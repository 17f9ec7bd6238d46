"""The watch over one agent process: its streams, its limits and its end."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from claude_flow.execution import kernel
from claude_flow.execution.activity import activity_below
from claude_flow.execution.lease import LOOK_SECONDS as _LEASE_LOOK_SECONDS
from claude_flow.execution.lease import held_until
from claude_flow.execution.limits import LimitWatch
from claude_flow.execution.logs import BoundedLog
from claude_flow.execution.spec import LEASE_LOST, AttemptResult, AttemptSpec
from claude_flow.execution.sweep import end_descendants
from claude_flow.execution.way_out import way_out

TERMINATED = "terminated"
ORPHANED = "orphaned"

_NOT_FOUND = 127  # as shells say it
_NOT_EXECUTABLE = 126
_SIGNALLED = 128
_CHUNK_BYTES = 64 * 1024
_CHUNKS_AT_ONCE = 64
_LOOK_SECONDS = 0.05
_REAP_SECONDS = 2.0


@dataclass(slots=True)
class _Stream:
    """One of the agent's two output streams and where it is kept."""

    source: IO[bytes]
    log: BoundedLog
    is_open: bool = True

    def copy(self) -> bool:
        """Keep what is there now; whether anything was."""
        try:
            chunk = os.read(self.source.fileno(), _CHUNK_BYTES)
        except BlockingIOError:
            return False
        self.is_open = bool(chunk)
        self.log.write(chunk)
        return bool(chunk)


class Supervisor:
    """Runs the agent of one spec to its end. Once, in a process's main thread.

    The process adopts every orphan among its descendants (Linux's "child subreaper"), so
    that nothing the agent starts can hide from the final sweep.
    """

    def __init__(
        self, spec: AttemptSpec, *, clock: Callable[[], float], since_boot: Callable[[], float]
    ) -> None:
        self._spec = spec
        self._clock = clock
        self._since_boot = since_boot
        self._lease = None if spec.lease is None else Path(spec.lease)
        self._selector = selectors.DefaultSelector()
        self._myself = psutil.Process()
        self._stopped: str | None = None
        self._exit_code: int | None = None
        self._immortal: list[int] = []

    def run(self) -> AttemptResult:
        """Start the agent, watch it, leave nothing of it; say how it ended."""
        kernel.become_subreaper()
        with (
            self._selector,
            contextlib.closing(_SignalInbox(self._on_terminate)) as signals,
            BoundedLog(
                self._spec.files.stdout, limit_bytes=self._spec.stream_limit_bytes
            ) as stdout,
            BoundedLog(
                self._spec.files.stderr, limit_bytes=self._spec.stream_limit_bytes
            ) as stderr,
        ):
            try:
                agent = self._start()
            except OSError as error:
                stderr.write(f"could not start {self._spec.argv[0]}: {error}\n".encode())
                missing = isinstance(error, FileNotFoundError)
                return AttemptResult(_NOT_FOUND if missing else _NOT_EXECUTABLE, None)
            streams = _streams(agent, stdout, stderr)
            try:
                self._watch(agent, streams, signals)
            finally:
                self._end_all(agent, streams)
                for stream in streams:
                    stream.source.close()
        if self._exit_code is None:
            self._exit_code = _SIGNALLED + signal.SIGKILL
        return AttemptResult(self._exit_code, self._stopped, tuple(self._immortal))

    def _start(self) -> subprocess.Popen[bytes]:
        environment = self._spec.agent_environment(os.environ)
        with (
            self._spec.files.prompt.open("rb") as prompt,
            way_out(self._spec, os.environ) as passed,
        ):
            return subprocess.Popen(
                self._spec.argv,
                cwd=self._spec.workspace,
                env={**environment, **passed.variables},
                pass_fds=passed.descriptors,
                stdin=prompt,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )

    def _watch(
        self, agent: subprocess.Popen[bytes], streams: list[_Stream], signals: _SignalInbox
    ) -> None:
        watch = LimitWatch(
            now=self._clock(),
            timeout_seconds=self._spec.timeout_seconds,
            stall_timeout_seconds=self._spec.stall_timeout_seconds,
        )
        self._selector.register(signals.fileno(), selectors.EVENT_READ, signals.clear)
        if self._spec.ends_with_stdin:
            self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ, self._on_stdin)
        for stream in streams:
            self._selector.register(stream.source, selectors.EVENT_READ, stream)
        self._reap(agent)
        while self._exit_code is None and self._stopped is None:
            for key, _ in self._selector.select(self._wait_seconds(watch)):
                if not isinstance(key.data, _Stream):
                    key.data()
                elif key.data.copy():
                    watch.heard(self._clock())
                elif not key.data.is_open:
                    self._selector.unregister(key.fileobj)
            self._reap(agent)
            if watch.wants_to_see(self._clock()):
                watch.saw(self._clock(), activity_below(self._myself))
            self._stop(self._exceeded(watch))
        if self._exit_code is not None and self._stopped != TERMINATED:
            self._stopped = None  # it ended by itself in the same instant

    def _exceeded(self, watch: LimitWatch) -> str | None:
        if self._lease is not None and self._since_boot() >= held_until(self._lease):
            return LEASE_LOST
        return watch.exceeded(self._clock())

    def _wait_seconds(self, watch: LimitWatch) -> float:
        seconds = watch.seconds_left(self._clock())
        return seconds if self._lease is None else min(seconds, _LEASE_LOOK_SECONDS)

    def _stop(self, why: str | None) -> None:
        if self._stopped is None:
            self._stopped = why

    def _on_terminate(self) -> None:
        self._stop(TERMINATED)

    def _on_stdin(self) -> None:
        if not os.read(sys.stdin.fileno(), _CHUNK_BYTES):
            self._selector.unregister(sys.stdin.fileno())
            self._stop(ORPHANED)

    def _end_all(self, agent: subprocess.Popen[bytes], streams: list[_Stream]) -> None:
        def look_on() -> None:
            # A process that waits to be read from could not end.
            self._selector.select(_LOOK_SECONDS)
            self._drain(streams)
            self._reap(agent)

        for key in list(self._selector.get_map().values()):
            if not isinstance(key.data, _Stream):
                self._selector.unregister(key.fileobj)
        self._immortal = end_descendants(
            # Another host waits for this end, and no longer than it has to.
            grace_seconds=0 if self._stopped == LEASE_LOST else self._spec.grace_seconds,
            clock=self._clock,
            wait=look_on,
        )
        give_up_at = self._clock() + _REAP_SECONDS
        while self._exit_code is None and self._clock() < give_up_at:
            look_on()  # dead, but the kernel may not have its exit code ready
        self._drain(streams)

    def _drain(self, streams: list[_Stream]) -> None:
        for stream in streams:
            for _ in range(_CHUNKS_AT_ONCE):  # bounded: a flood must not hold up the end
                if not (stream.is_open and stream.copy()):
                    break
            if not stream.is_open and stream.source in self._selector.get_map():
                self._selector.unregister(stream.source)

    def _reap(self, agent: subprocess.Popen[bytes]) -> None:
        """Take the exit codes of the agent and of adopted orphans."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == agent.pid:
                code = os.waitstatus_to_exitcode(status)
                agent.returncode = code  # the Popen must not wait for it again
                self._exit_code = code if code >= 0 else _SIGNALLED - code


class _SignalInbox:
    """Wakes a selector on SIGTERM, SIGINT (told to ``on_terminate``) and SIGCHLD."""

    def __init__(self, on_terminate: Callable[[], None]) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: on_terminate())
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def fileno(self) -> int:
        """What to select on."""
        return self._read

    def clear(self) -> None:
        """Forget the wake-ups so far; handlers have run by now."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, _CHUNK_BYTES)

    def close(self) -> None:
        """Wake nobody any more. The handlers stay: a late SIGTERM must not cut the end short."""
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)


def _streams(
    agent: subprocess.Popen[bytes], stdout: BoundedLog, stderr: BoundedLog
) -> list[_Stream]:
    streams = []
    for source, log in ((agent.stdout, stdout), (agent.stderr, stderr)):
        if source is not None:  # never None with PIPE; the type cannot say so
            os.set_blocking(source.fileno(), False)
            streams.append(_Stream(source, log))
    return streams
