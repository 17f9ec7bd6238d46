"""One daemon per state directory: a lock file that the kernel releases with its holder."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from claude_flow.errors import EngineError, StateInUseError

_LOCK_FILE = "state.lock"
_RETRY_SECONDS = 0.05


class StateLock:
    """Holds the lock of a state directory until ``release`` or the end of the process."""

    def __init__(self, state_directory: Path) -> None:
        self._path = state_directory / _LOCK_FILE
        self._descriptor: int | None = None

    def acquire(self, wait_seconds: float) -> None:
        """Take the lock, waiting a little for an earlier daemon that is just ending.

        Raises StateInUseError if another process keeps it, EngineError if there is no place
        for the file.
        """
        try:
            # Children must not inherit it: they would keep the lock when the daemon dies.
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EngineError(
                f"cannot open the lock file {self._path}: {error.strerror}",
                hint="check service.state_directory and that it belongs to the service's user",
            ) from error
        deadline = time.monotonic() + wait_seconds
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
                os.close(descriptor)
                raise StateInUseError(
                    f"{self._path} is held by another daemon (pid {holder or 'unknown'})",
                    hint="stop that daemon, or give this one a service.state_directory of its own",
                )
            time.sleep(_RETRY_SECONDS)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the lock go; fine if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
