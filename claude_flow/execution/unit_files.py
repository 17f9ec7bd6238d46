"""What the daemon lays down for an attempt's unit: names, links and what the unit reads.

A unit's template cannot name directories of a run, for all it knows is its own name. So each
unit has a directory that is called as it is, with links to what it may see; systemd follows
them when it sets up the unit's mount namespace (``BindPaths=``). The directory lies on a
temporary file system, as the unit itself is gone after a reboot.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from claude_flow.execution.following import Marks
from claude_flow.execution.lease import LEASE_FILE
from claude_flow.execution.spec import AttemptResult, AttemptSpec, write_json
from claude_flow.model.run import from_rfc3339, to_rfc3339
from claude_flow.ports import AGENT_PART

PREFIX = "claude-flow-run@"
SUFFIX = ".service"
NO_ATTEMPT = 0
"""The number of what is done for a run beside its attempts, and is never taken over."""
# What polkit lets the daemon manage: see the role's rule.
_INSTANCE = re.compile(r"[a-z0-9-]+")


def instance_of(run_id: str, attempt: int, part: str = AGENT_PART) -> str:
    """What stands behind the ``@`` in the name of the unit of an attempt's part."""
    name = f"{run_id}-{attempt}" if part == AGENT_PART else f"{run_id}-{attempt}-{part}"
    if not _INSTANCE.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a unit's name")
    return name


def unit_of(instance: str) -> str:
    """The whole name of a unit."""
    return f"{PREFIX}{instance}{SUFFIX}"


@dataclass(frozen=True, slots=True)
class UnitEnd:
    """How an execution ended, and when that was seen."""

    result: AttemptResult
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRecord:
    """What is remembered of an execution, so that the next daemon can take it over.

    ``end`` is None while nobody has seen one.
    """

    run_id: str
    attempt: int
    part: str
    started_at: datetime
    begun: Marks
    end: UnitEnd | None = None


@dataclass(frozen=True, slots=True)
class UnitDirectory:
    """The directory of one unit. Methods raise OSError."""

    path: Path
    seen_at: Path
    """Where the unit itself finds ``shown``."""

    @property
    def shown(self) -> Path:
        """What the unit reads: its spec, its environment and its prompt."""
        return self.path / "in"

    @property
    def environment(self) -> Path:
        """The agent's environment, the model's key in it. Gone once the agent has ended."""
        return self.shown / "environment.json"

    def lay_down(
        self,
        spec: AttemptSpec,
        environment: Mapping[str, str],
        links: Mapping[str, Path],
        lease: Path | None = None,
    ) -> None:
        """Make it anew. The unit sees the very file of the ``lease``, in the same file system."""
        if self.path.exists():
            shutil.rmtree(self.path)
        self.shown.mkdir(parents=True)
        for name, target in links.items():
            (self.path / name).symlink_to(target)
        gitconfig = self.shown / "gitconfig"
        # Git obeys no repository of another user's unless it is told to; the workspace is the
        # daemon's. What the host says to git in general stays in force.
        gitconfig.write_text(
            f"[include]\n\tpath = /etc/gitconfig\n[safe]\n\tdirectory = {spec.workspace}\n"
        )
        values = {"GIT_CONFIG_SYSTEM": str(self.seen_at / gitconfig.name), **environment}
        self.environment.write_text(json.dumps(values), encoding="utf-8")
        if lease is not None:
            (self.shown / LEASE_FILE).hardlink_to(lease)
        spec.write(self.shown / "spec.json")

    def forget_environment(self) -> None:
        """Delete the agent's environment."""
        self.environment.unlink(missing_ok=True)

    def remember(self, record: UnitRecord) -> None:
        """Keep the record, over an earlier one."""
        data = asdict(record) | {"started_at": to_rfc3339(record.started_at)}
        if record.end is not None:
            data["end"]["at"] = to_rfc3339(record.end.at)
        write_json(self.path / "record.json", data)

    def recall(self) -> UnitRecord | None:
        """The record; None where there is none that can be read."""
        try:
            data: dict[str, Any] = json.loads((self.path / "record.json").read_text("utf-8"))
            end = data["end"]
            return UnitRecord(
                run_id=data["run_id"],
                attempt=data["attempt"],
                part=data["part"],
                started_at=_moment(data["started_at"]),
                begun=Marks(**data["begun"]),
                end=None if end is None else UnitEnd(_result(end["result"]), _moment(end["at"])),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remove(self) -> None:
        """Delete it; fine if it is not there."""
        if self.path.exists():
            shutil.rmtree(self.path)


@dataclass(frozen=True, slots=True)
class UnitDirectories:
    """The directories of all units, below ``root``."""

    root: Path
    seen_at: Path

    def of(self, instance: str) -> UnitDirectory:
        """A unit's; it need not be there."""
        return UnitDirectory(self.root / instance, self.seen_at)

    def all(self) -> Iterator[tuple[str, UnitDirectory]]:
        """Those that are there, by instance."""
        if self.root.is_dir():
            for path in sorted(self.root.iterdir()):
                if path.is_dir():  # the host's lease lies there as well
                    yield path.name, self.of(path.name)


def _result(data: Mapping[str, Any]) -> AttemptResult:
    return AttemptResult(data["exit_code"], data["stopped"], tuple(data["left"]))


def _moment(text: str) -> datetime:
    moment = from_rfc3339(text)
    if moment is None:
        raise ValueError("a moment is missing")
    return moment
