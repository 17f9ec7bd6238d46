"""Helper programs, run to their end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Completed:
    """How a helper program ended; ``exit_code`` is negative for a signal."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Processes(Protocol):
    """Runs helper programs (git) to their end."""

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
        """Run ``argv`` without a shell; any exit code is an answer, not an error.

        ``env`` is the whole environment, nothing is inherited; ``argv[0]`` without a slash is
        looked for on the PATH in ``env``. Without ``stdin`` it reads nothing. Open ``pass_fds``
        keep their numbers. When the call ends, also by CancelledError, its process group is
        gone. Raises ProcessTimedOutError after ``timeout_seconds``, ProcessError if it cannot
        be started.
        """
        ...
