"""Agents, and what runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from claude_flow.model.events import Happening
from claude_flow.model.failures import ModelFailure
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Reason, Usage

AGENT_PART = "agent"


@dataclass(frozen=True, slots=True)
class AgentSession:
    """An agent's conversation to go on with: its id, and the ``scratch`` it lies in."""

    id: str
    scratch: Path
    prompt: str
    """What is said in it, in place of the task's prompt: it knows the task."""


@dataclass(frozen=True, slots=True)
class AgentTask:
    """What an agent is asked to do, once."""

    run_id: str
    attempt: int
    issue: IssueRef
    workspace: Path
    scratch: Path
    """A directory of this attempt's own, for HOME, TMPDIR and transcripts."""
    prompt: str
    part: str = AGENT_PART
    """Which of the attempt's processes this is: the agent, a later round of it, a hook, a check.

    Lower-case letters, digits and hyphens. Those of one attempt run one after another.
    """
    resume: AgentSession | None = None
    """What to go on with. An agent that cannot, or does not find it, begins a new one."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The first ``length`` bytes of the file ``path`` below ``top``, where an agent could write.

    No link from ``top`` on is followed.
    """

    top: Path
    path: Path
    length: int


@dataclass(frozen=True, slots=True)
class AgentCommand:
    """How an agent is started. ``environment`` is all of it; ``stdin`` is written and closed.

    ``files`` (absolute path to text) exist before the start, as do ``copies``; those that are
    ``executable`` may be run. ``directories`` are there and empty at the start and gone after
    the end. ``ignored`` are paths in the workspace that the agent's own tools leave behind and
    that are no part of its work. ``hosts`` (``name:port``) are what the agent cannot work
    without, whatever else it may reach.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    stdin: str
    files: Mapping[Path, str]
    ignored: tuple[str, ...] = ()
    executable: frozenset[Path] = frozenset()
    directories: tuple[Path, ...] = ()
    copies: Mapping[Path, Excerpt] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running agent last said of itself."""

    usage: Usage = field(default_factory=Usage)
    last_event: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the agent's own words and exit code mean success.

    ``reason`` is None for success. Whether the workspace holds a change is judged later.
    ``summary`` is the agent's closing text, for the pull request. ``failure`` says what stood
    in its way where more is known than ``reason`` tells. ``session_id`` is set if the agent
    told the id of a session that ``AgentTask.resume`` can go on with.
    """

    reason: Reason | None
    usage: Usage
    detail: str | None = None
    summary: str | None = None
    failure: ModelFailure | None = None
    session_id: str | None = None


class AgentOutput(Protocol):
    """Reads an agent's standard output line by line."""

    def feed(self, line: str) -> Sequence[Happening]:
        """Take the next line; what it tells, which is the same whenever it is read again."""
        ...

    @property
    def progress(self) -> Progress:
        """As far as read."""
        ...

    @property
    def fatal(self) -> str | None:
        """Why going on is pointless (a refused key), or None."""
        ...

    def verdict(self, ended: ProcessEnded) -> Verdict:
        """The judgement once the process has ended."""
        ...


class Agent(Protocol):
    """One kind of agent."""

    def check(self) -> None:
        """Raise AgentUnavailableError unless it could be started now."""
        ...

    def command(self, task: AgentTask) -> AgentCommand:
        """How to start it on the task."""
        ...

    def output(self) -> AgentOutput:
        """A reader for one attempt's output."""
        ...


class Shell(Protocol):
    """Starts a repository's own commands where an agent would be."""

    def command(self, task: AgentTask, script: str) -> AgentCommand:
        """How to run a script of the shell; it gets no secret, not even the agent's."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one attempt, in seconds."""

    timeout_seconds: float
    stall_timeout_seconds: float


class Stop(StrEnum):
    """Why an attempt's process did not end by itself."""

    TIMED_OUT = "timed_out"
    STALLED = "stalled"
    FATAL = "fatal"
    """Its output said that going on is pointless."""
    OUT_OF_MEMORY = "out_of_memory"
    """The kernel ended all of it at its limit."""


@dataclass(frozen=True, slots=True)
class ProcessEnded:
    """How an attempt's process ended.

    ``exit_code`` is 128 + n after signal n, and 127 or 126 if the program could not be started.
    ``stopped`` is None if it ended by itself or by somebody else's signal. ``stderr_tail`` is
    the last 4 KiB of standard error.
    """

    exit_code: int
    stopped: Stop | None
    started_at: datetime
    ended_at: datetime
    stderr_tail: str


class Execution(Protocol):
    """Runs an agent's process and leaves nothing of it behind."""

    async def is_begun(self, run_id: str, attempt: int, part: str = AGENT_PART) -> bool:
        """Whether an earlier daemon started this part of the attempt and ``run`` takes it over.

        It may go on or have ended since. Its workspace must not be touched before ``run``.
        """
        ...

    async def end(self, run_id: str, attempt: int) -> None:
        """End what an earlier daemon started of this attempt; nothing of it ``is_begun`` then.

        Raises ExecutionError if something of it cannot be ended.
        """
        ...

    async def run(
        self,
        task: AgentTask,
        command: AgentCommand,
        limits: Limits,
        output: AgentOutput,
        on_progress: Callable[[Progress], None],
    ) -> ProcessEnded:
        """Run to the end; feed every line of standard output to ``output``.

        Both streams are kept in the attempt's directory, and as events what happens: first the
        start, last the result, each once also where a part is taken over. What ``is_begun`` is
        taken over, all of its output fed again; else what an earlier daemon left of this run is
        ended first. On CancelledError the process and all its descendants are dead before it is
        raised on, unless the run is still wanted and the process can wait for the next daemon.
        Raises ExecutionError if something of the run cannot be ended or the attempt's directory
        cannot be written.
        """
        ...
