"""What an attempt that was cut short left, put aside for the next one of the same run.

It lies in ``left.git``, put together as a result is: the daemon's own repository, into which
only commits that ``fsck`` accepts and the files' content came. The agent's configuration, hooks
and ignored files stay behind.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from claude_flow.errors import WorkspaceError
from claude_flow.ports import Workspace
from claude_flow.workspace.failures import words
from claude_flow.workspace.files import delete, told_plainly
from claude_flow.workspace.git import Git, Place
from claude_flow.workspace.large_files import hand_over
from claude_flow.workspace.mirror import Snapshot
from claude_flow.workspace.places import RunDirectory
from claude_flow.workspace.result import BASE, HEAD, PARENT, Collector

_log = logging.getLogger(__name__)

_OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MESSAGE = "Left by an attempt that was cut short"


@dataclass(frozen=True, slots=True)
class Note:
    """What the daemon remembers of a workspace: the commit it began at, the mirror it borrows.

    ``published`` and ``carries_on`` are those of ``ports.Workspace``.
    """

    base: str
    mirror: str
    published: str | None = None
    carries_on: bool = False

    def write(self, where: RunDirectory) -> None:
        """Keep it in the run's directory. Raises OSError."""
        where.note.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, where: RunDirectory) -> Note | None:
        """The note, or None where there is no good one."""
        try:
            found = json.loads(where.note.read_text(encoding="utf-8"))
            note = cls(
                str(found["base"]),
                str(found["mirror"]),
                # An earlier release kept neither.
                found.get("published"),
                bool(found.get("carries_on")),
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return note if _OBJECT_ID.fullmatch(note.base) else None


@dataclass(frozen=True, slots=True)
class Left:
    """Three commits: where the work began, the agent's last of its own, all that there was."""

    base: str
    parent: str
    head: str


async def put_aside(collector: Collector, where: RunDirectory, mirror: Path) -> None:
    """Bring what is in the workspace to ``left.git``; what was there before stays if it fails.

    A workspace that was not whole yet holds nothing of an attempt's.
    """
    note = Note.read(where)
    if note is None or not where.is_whole:
        return
    try:
        with told_plainly(f"reading what {where.run_id} left"):
            found = await collector.collect(
                where,
                mirror,
                Workspace(where.run_id, where.workspace, note.base, None),
                message=_MESSAGE,
                at=datetime.fromtimestamp(0, UTC),
            )
            await delete(collector.git, where.left)
    except WorkspaceError as error:
        _log.warning("cannot carry over what the last attempt left, beginning anew: %s", error)
        return
    if found is not None:
        where.trusted.rename(where.left)


async def bring_left(git: Git, where: RunDirectory, mirror: Snapshot, *, onto: str) -> Left | None:
    """Copy what was put aside into the agent's new repository; None if it begins anew.

    It does where there is nothing, and where it can no longer become a change of ``onto``.
    """
    left = await _read(git, where)
    if left is None:
        return None
    descends = await git.run(
        Place(mirror.path), "merge-base", "--is-ancestor", left.base, f"refs/heads/{onto}"
    )
    if descends.exit_code != 0:
        _log.warning("%s was rewritten, so %s begins anew", onto, where.run_id)
        return None
    copied = await git.run(
        Place(where.agent),
        "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
        "--no-recurse-submodules", str(where.left), HEAD,
        env={"GIT_ALLOW_PROTOCOL": "file"},
    )  # fmt: skip
    if copied.exit_code != 0:
        _log.warning("cannot carry over, beginning anew: %s", words(copied.stderr))
        return None
    await asyncio.to_thread(hand_over, where.left, where.agent)
    return left


async def _read(git: Git, where: RunDirectory) -> Left | None:
    if not where.left.is_dir():
        return None
    found = await git.run(Place(where.left), "rev-parse", BASE, PARENT, HEAD)
    return Left(*found.stdout.decode().split()) if found.exit_code == 0 else None
