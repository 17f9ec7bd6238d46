"""The directories that the service works in, and the room that is left there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from claude_flow.bootstrap import space_watch
from claude_flow.cli.doctor.finding import Finding, Grade
from claude_flow.config import ConfigManager
from claude_flow.workspace import Space

_LOW_SHARE = 0.05
_GIB = 1024**3


def check(config: ConfigManager) -> Iterator[Finding]:
    """The state directory can be used, and there is room in it and for workspaces."""
    state = Path(config.get("service.state_directory"))
    yield judge_state(
        state,
        exists=_is_directory(state),
        is_usable=os.access(state, os.R_OK | os.W_OK | os.X_OK),
    )
    with contextlib.suppress(OSError):  # told by the finding above
        yield judge_space(space_watch(config).look())
    for directory in dict.fromkeys((state, Path(config.get("service.workspace_root")))):
        with contextlib.suppress(OSError):
            yield from judge_inodes(directory, os.statvfs(directory))


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:
        return True  # something is there, behind a door


def judge_state(directory: Path, *, exists: bool, is_usable: bool) -> Finding:
    """From what this user can do there."""
    if not exists:
        return Finding(
            "state",
            Grade.WARN,
            f"{directory} does not exist yet",
            "the daemon makes it at its first start; the playbook gives it the right owner",
        )
    if not is_usable:
        return Finding(
            "state",
            Grade.WARN,
            f"{directory} may not be used by this user",
            "run this as root or as the service's user to see more",
        )
    return Finding("state", Grade.FINE, f"{directory} can be used")


def judge_space(space: Space) -> Finding:
    """From the disk with the least room."""
    if space.is_low:
        text = f"no new run starts: {space}"
        return Finding("disk", Grade.FAIL, text, "free some space, or move service.workspace_root")
    return Finding("disk", Grade.FINE, f"{space.free_bytes // _GIB} GiB free in {space.directory}")


def judge_inodes(directory: Path, files: os.statvfs_result) -> Iterator[Finding]:
    """Without inodes nothing can be written, however much room there is."""
    if files.f_files and files.f_favail < files.f_files * _LOW_SHARE:
        text = f"{directory} has only {files.f_favail / files.f_files:.0%} of its inodes left"
        yield Finding("disk", Grade.WARN, text, "remove small files, or make a new file system")
