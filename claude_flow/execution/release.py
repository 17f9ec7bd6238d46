"""After an attempt in a unit: what the agent made is opened to the daemon, another user.

Runs as the agent's user in the agent's sandbox, with no right that the agent had not, once
nothing of the agent is left: an agent may have closed its directories to everybody else.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

_DIRECTORY = stat.S_IRWXU | stat.S_IRWXG
_FILE = stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP
# The sticky bit keeps the daemon from deleting; the sandbox refuses every mode with set-group-ID,
# which a directory in the scratch directory has from it.
_BITS = stat.S_ISVTX | stat.S_ISGID
_ACCESS_LISTS = ("system.posix_acl_access", "system.posix_acl_default")


def release(top: Path) -> None:
    """Let owner and group read, write and enter all below ``top``; links are not followed.

    What is not the caller's is left as it is.
    """
    for path, mode in _below(top):
        with contextlib.suppress(OSError):
            for name in _ACCESS_LISTS:
                with contextlib.suppress(OSError):
                    os.removexattr(path, name, follow_symlinks=False)
            wanted = (mode | (_DIRECTORY if stat.S_ISDIR(mode) else _FILE)) & ~_BITS
            if wanted != mode:
                os.chmod(path, stat.S_IMODE(wanted))  # noqa: PTH101 - as walked, in text


def _below(top: Path) -> Iterator[tuple[str, int]]:
    """Every file and directory with its mode, a directory before what is in it."""
    waiting = [str(top)]
    while waiting:
        directory = waiting.pop()
        with contextlib.suppress(OSError):
            yield directory, os.lstat(directory).st_mode
            with os.scandir(directory) as entries:
                for entry in entries:
                    mode = entry.stat(follow_symlinks=False).st_mode
                    if stat.S_ISDIR(mode):
                        waiting.append(entry.path)
                    elif stat.S_ISREG(mode):
                        yield entry.path, mode


def main() -> None:
    """Release what the spec, the only argument, names as shared."""
    [spec] = sys.argv[1:]
    for directory in json.loads(Path(spec).read_text(encoding="utf-8"))["shared"]:
        release(Path(directory))


if __name__ == "__main__":
    main()
