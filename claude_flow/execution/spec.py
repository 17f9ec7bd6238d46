"""What ``claude-flow-run`` is told and what it answers: two small JSON files per attempt."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from claude_flow.ports import AGENT_PART, AgentTask

LEASE_LOST = "lease_lost"
"""Why ``claude-flow-run`` stopped an agent whose host may have lost the run to another."""

_RESULT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSpec:
    """One attempt, as its process needs to know it.

    The agent's environment is not written down here, for it holds the model's key:
    ``environment`` only names which variables the agent gets. Their values are in
    ``environment_file``, or in the environment of ``claude-flow-run`` itself.
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
    environment_file: str | None = None
    """A JSON object with the agent's environment; None for that of ``claude-flow-run``."""
    files_are_given: bool = False
    """Whether the attempt's files are there already and may be written to, but not replaced."""
    lease: str | None = None
    """The host's lease (``lease.py``); None where no other host could take the run over."""
    hosts: tuple[str, ...] | None = None
    """The hosts that its proxy lets through (``hosts.py``); None: it has no proxy."""
    shared: tuple[str, ...] = ()
    """Directories in which the daemon, another user, must be able to clear up at the end."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """The spec in a file that ``write`` wrote."""
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        data["argv"] = tuple(data["argv"])
        data["environment"] = tuple(data["environment"])
        data["shared"] = tuple(data["shared"])
        if data["hosts"] is not None:
            data["hosts"] = tuple(data["hosts"])
        return cls(**data)

    def write(self, path: Path | None = None) -> Path:
        """Write it, as ``spec.json`` into the attempt's directory if no other is named."""
        return write_json(path or self.files.spec, asdict(self))

    def agent_environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """All variables of the agent; ``own`` are those of this process. Raises OSError."""
        values = own
        if self.environment_file is not None:
            values = json.loads(Path(self.environment_file).read_text(encoding="utf-8"))
        return {name: values[name] for name in self.environment}

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
        """Those of the task."""
        return cls.of_part(runs_directory, task.run_id, task.attempt, task.part)

    @classmethod
    def of_part(cls, runs_directory: Path, run_id: str, attempt: int, part: str) -> Self:
        """The agent's lie in the attempt's directory, those of other parts below it."""
        directory = runs_directory / run_id / str(attempt)
        return cls(directory if part == AGENT_PART else directory / part)

    @classmethod
    def events_of(cls, runs_directory: Path, run_id: str, attempt: int) -> Path:
        """What happened in all parts of an attempt: one JSON object a line."""
        return cls.of_part(runs_directory, run_id, attempt, AGENT_PART).directory / "events.jsonl"

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
    def refusals(self) -> Path:
        """The hosts that its proxy did not let through."""
        return self.directory / "refused.jsonl"

    @property
    def result(self) -> Path:
        """How it ended; not there while it goes on."""
        return self.directory / "result.json"


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How the agent ended.

    ``exit_code`` is 128 + n after signal n. ``stopped`` says why ``claude-flow-run`` ended
    it: ``timed_out``, ``stalled``, ``terminated`` (SIGTERM), ``orphaned`` (the daemon is gone)
    or ``lease_lost``; or ``out_of_memory``, if the kernel did; None if it ended by itself.
    ``left`` are the ids of processes that even SIGKILL did not end.
    """

    exit_code: int
    stopped: str | None
    left: tuple[int, ...] = ()

    def write(self, path: Path, *, in_place: bool = False) -> None:
        """Write it whole or not at all; ``in_place`` where the file cannot be replaced."""
        if in_place:
            path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        else:
            write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The result, or None if there is none yet.

        An agent that runs as the same user may have written anything there.
        """
        try:
            with path.open("rb") as stream:
                data = json.loads(stream.read(_RESULT_BYTES))
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        match data:
            case {"exit_code": int(exit_code), "stopped": None | str() as stopped, "left": [*left]}:
                return cls(exit_code, stopped, tuple(pid for pid in left if isinstance(pid, int)))
            case _:
                return None


def write_json(path: Path, data: dict[str, Any]) -> Path:
    """Replace ``path`` in one move, so that a reader never sees half of it."""
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as stream:
        json.dump(data, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    return new.replace(path)
