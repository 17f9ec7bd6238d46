"""What ``claude-flow-run`` is told and what it answers: two small JSON files per attempt."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from claude_flow.ports import AGENT_PART, AgentTask


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSpec:
    """One attempt, as its process needs to know it.

    The agent's environment is not written down, for it holds the model's key: the values are
    the environment of ``claude-flow-run`` itself and ``environment`` only names which of
    them the agent gets.
    """

    argv: tuple[str, ...]
    environment: tuple[str, ...]
    workspace: str
    directory: str
    """Where the attempt's files (prompt, logs, result) are."""
    timeout_seconds: float
    stall_timeout_seconds: float
    grace_seconds: float
    """From SIGTERM to SIGKILL."""
    stream_limit_bytes: int
    ends_with_stdin: bool
    """Whether the end of its own standard input means that the daemon is gone."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """The spec in a file that ``write`` wrote."""
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        data["argv"] = tuple(data["argv"])
        data["environment"] = tuple(data["environment"])
        return cls(**data)

    def write(self) -> Path:
        """Write it as ``spec.json`` into the attempt's directory."""
        return write_json(self.files.spec, asdict(self))

    @property
    def files(self) -> AttemptFiles:
        """The files of this attempt."""
        return AttemptFiles(Path(self.directory))


@dataclass(frozen=True, slots=True)
class AttemptFiles:
    """The names of an attempt's files."""

    directory: Path

    @classmethod
    def of(cls, task: AgentTask, runs_directory: Path) -> Self:
        """Those of the task: the agent's lie in the attempt's directory, other parts' below it."""
        directory = runs_directory / task.run_id / str(task.attempt)
        return cls(directory if task.part == AGENT_PART else directory / task.part)

    @property
    def spec(self) -> Path:
        """What ``claude-flow-run`` is told."""
        return self.directory / "spec.json"

    @property
    def prompt(self) -> Path:
        """The agent's standard input."""
        return self.directory / "prompt"

    @property
    def stdout(self) -> Path:
        """All that the agent said."""
        return self.directory / "stdout.log"

    @property
    def stderr(self) -> Path:
        """All that the agent complained of."""
        return self.directory / "stderr.log"

    @property
    def runner(self) -> Path:
        """What ``claude-flow-run`` itself complained of."""
        return self.directory / "runner.log"

    @property
    def result(self) -> Path:
        """How it ended; not there while it goes on."""
        return self.directory / "result.json"


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How the agent ended.

    ``exit_code`` is 128 + n after signal n. ``stopped`` says why ``claude-flow-run`` ended
    it: ``timed_out``, ``stalled``, ``terminated`` (SIGTERM) or ``orphaned`` (the daemon is
    gone); None if it ended by itself. ``left`` are the ids of processes that even SIGKILL did
    not end.
    """

    exit_code: int
    stopped: str | None
    left: tuple[int, ...] = ()

    def write(self, path: Path) -> None:
        """Write it whole or not at all."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The result, or None if there is none yet."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        data: dict[str, Any] = json.loads(text)
        data["left"] = tuple(data.get("left", ()))
        return cls(**data)


def write_json(path: Path, data: dict[str, Any]) -> Path:
    """Replace ``path`` in one move, so that a reader never sees half of it."""
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as stream:
        json.dump(data, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    return new.replace(path)
