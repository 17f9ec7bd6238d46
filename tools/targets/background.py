"""Processes that outlive the command that started them, each with a file that says which it is."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tools.targets.commands import ROOT, TargetError

_START_SECONDS = 60
_END_SECONDS = 30


def start(argv: Sequence[str], state: Path, name: str) -> None:
    """Start a program that prints a line when it is ready, and wait for it. Raises TargetError."""
    words, complaints = state / f"{name}.out", state / f"{name}.log"
    with words.open("wb") as stdout, complaints.open("wb") as stderr:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=ROOT,
            start_new_session=True,
        )
    _pid_file(state, name).write_text(str(process.pid), encoding="utf-8")
    deadline = time.monotonic() + _START_SECONDS
    while not words.stat().st_size:
        if process.poll() is not None or time.monotonic() > deadline:
            raise TargetError(f"{name} does not start: {complaints.read_text(encoding='utf-8')}")
        time.sleep(0.1)


def end(state: Path, name: str, number: signal.Signals = signal.SIGTERM) -> None:
    """End it, if it lives; returns when it is gone. Raises TargetError."""
    if not _pid_file(state, name).exists():
        return
    pid = int(_pid_file(state, name).read_text(encoding="utf-8"))
    deadline = time.monotonic() + _END_SECONDS
    while _is_ours(pid, state):
        os.kill(pid, number)
        if time.monotonic() > deadline:
            raise TargetError(f"{name} (process {pid}) does not end on {number.name}")
        time.sleep(0.1)
    _pid_file(state, name).unlink()


def _is_ours(pid: int, state: Path) -> bool:
    # Numbers of processes are used again: ours has the state directory among its arguments.
    try:
        return str(state).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _pid_file(state: Path, name: str) -> Path:
    return state / f"{name}.pid"
