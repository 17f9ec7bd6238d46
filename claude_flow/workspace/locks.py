"""One at a time, across threads, event loops and processes."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from claude_flow.errors import WorkspaceError

_PAUSE_SECONDS = 0.05


@asynccontextmanager
async def locked(path: Path, *, timeout_seconds: float) -> AsyncIterator[int]:
    """Hold the lock file; yields its descriptor.

    Programs that inherit the descriptor keep the lock until they end, so that a daemon that
    was killed is not followed by a new one while its git still writes. Raises WorkspaceError
    after ``timeout_seconds``.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            async with asyncio.timeout(timeout_seconds):
                # Asked for again and again: a thread blocked in flock could not be cancelled.
                while not _taken(fd):  # noqa: ASYNC110 - no event tells of another process
                    await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            raise WorkspaceError(
                f"another process has held {path} for {timeout_seconds:g} s",
                hint=f"find it with: fuser {path}",
            ) from None
        yield fd
    finally:
        os.close(fd)


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
