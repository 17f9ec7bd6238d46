"""What the workflow, the triggers and the service need from outside things.

Each Protocol has one adapter (its door) and one fake in ``claude_flow.testing``; both pass the
same contract suite. Only values of ``claude_flow.model`` and plain types cross these lines.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from claude_flow.model.issue import Issue, IssueRef, Repository
from claude_flow.model.run import Reason, Run, RunState, Trigger, Usage
from claude_flow.model.transitions import RunEvent

Clock = Callable[[], datetime]
"""The wall clock, aware and in UTC. For durations use a monotonic one."""

# --- engine ---------------------------------------------------------------------------------


class Steps(Protocol):
    """The durable steps of one attempt: each is done once and its answer is kept."""

    async def step(
        self, name: str, do: Callable[[], Awaitable[Any]], *, interruptible: bool = False
    ) -> Any:
        """Do ``do`` unless this attempt already did the step ``name``; give its answer.

        Answers are JSON values. A crash in the middle does the step again, so ``do`` must
        bear that. An ``interruptible`` step gets ``asyncio.CancelledError`` at once when the
        run is cancelled or the daemon stops; others finish first.
        """
        ...


AttemptWorkflow = Callable[[str, int, Steps], Awaitable[None]]
"""Takes a run's id and an attempt's number (from 1) through its steps to its end."""


class Engine(Protocol):
    """The durable queue and the record of all runs."""

    def launch(self, work: AttemptWorkflow) -> None:
        """Open the state, resume what an earlier daemon left, begin to take from the queue.

        Raises StateInUseError if another daemon uses the same state, EngineError if the
        database cannot be used.
        """
        ...

    def close(self, *, grace_seconds: float) -> None:
        """Take no more; wait for running attempts; interrupt those left after the grace.

        An interrupted attempt stays unfinished and is resumed by the next launch.
        """
        ...

    def submit(self, run: Run) -> bool:
        """Record the run and queue its first attempt.

        False, and nothing changed, if this run is known or its issue has another run that is
        not final: across all hosts at most one run per issue is active.
        """
        ...

    def record(self, run: Run) -> bool:
        """Record a run that is already final and never queue it; False if it is known."""
        ...

    def retry(self, run_id: str, number: int, delay_seconds: float) -> None:
        """Queue attempt ``number`` of the run, to start after the delay at the earliest."""
        ...

    def cancel(self, run_id: str) -> bool:
        """Ask for the end of a run; its work gets CancelledError. False if it is final."""
        ...

    def is_cancelled(self, run_id: str) -> bool:
        """Whether ``cancel`` was asked for (and not the daemon's own end)."""
        ...

    def apply(self, run_id: str, event: RunEvent) -> Run:
        """Change the record by ``model.transitions.apply`` in one transaction; the new run.

        Raises UsageError for an unknown run.
        """
        ...

    def get(self, run_id: str) -> Run | None:
        """The run, or None."""
        ...

    def runs(
        self,
        *,
        states: Sequence[RunState] = (),
        issue: IssueRef | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """Runs, newest first; ``states`` empty means all."""
        ...

    def counts(self) -> Mapping[RunState, int]:
        """How many runs were ever recorded, by state; states without runs may be missing."""
        ...

    def set_limits(self, max_concurrent_runs: int, max_concurrent_runs_per_repository: int) -> None:
        """Change the limits; runs beyond a lower one go on to their end. Raises EngineError."""
        ...

    def free_slots(self, repository: Repository | None = None) -> int:
        """How many more runs would start now on this host (in the repository), not wait."""
        ...

    def check(self) -> None:
        """Raise EngineError unless the database answers and the queue is being worked on."""
        ...


# --- GitHub ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RepositoryInfo:
    """What GitHub says of a repository; ``repository`` is its present name."""

    repository: Repository
    default_branch: str
    is_archived: bool


@dataclass(frozen=True, slots=True)
class LabelEvent:
    """Who put a label on an issue, and when. ``actor`` is None for a deleted account."""

    id: int
    label: str
    actor: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Who last changed an issue's title or text, and when."""

    actor: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on an issue."""

    id: int
    author: str | None
    body: str
    url: str


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request; ``head_branch`` is the branch it would merge."""

    number: int
    url: str
    head_branch: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What is left of the hour's requests."""

    limit: int
    remaining: int
    resets_at: datetime


class GitHub(Protocol):
    """GitHub's REST API, as far as this service uses it.

    Every method may raise a ``GitHubError``: ``TokenRefusedError``, ``ForbiddenError``,
    ``NotFoundError``, ``RejectedError``, ``RateLimitedError``, ``GitHubUnreachableError``.
    All methods block; call them from a thread.
    """

    def repository(self, repository: Repository) -> RepositoryInfo:
        """The repository under its present name."""
        ...

    def labelled_issues(self, repository: Repository, label: str) -> list[Issue]:
        """Open issues (no pull requests) with the label, oldest first; free if unchanged."""
        ...

    def issue(self, ref: IssueRef) -> Issue:
        """One issue, as it is now."""
        ...

    def label_events(self, ref: IssueRef, label: str) -> list[LabelEvent]:
        """The times the label was put on the issue, oldest first."""
        ...

    def last_edits(self, ref: IssueRef) -> list[TextEdit]:
        """Changes of the issue's title and text, oldest first."""
        ...

    def permission(self, repository: Repository, login: str) -> str:
        """``admin``, ``maintain``, ``write``, ``triage``, ``read`` or ``none``."""
        ...

    def add_label(self, ref: IssueRef, label: str) -> None:
        """Put a label on the issue, making it in the repository if it is new."""
        ...

    def remove_label(self, ref: IssueRef, label: str) -> None:
        """Take a label off the issue; fine if it is not there."""
        ...

    def upsert_comment(self, ref: IssueRef, *, marker: str, body: str) -> Comment:
        """Edit our own comment that contains ``marker``, or write it if there is none."""
        ...

    def find_pull_request(self, repository: Repository, head_branch: str) -> PullRequest | None:
        """The open pull request from the branch, or None."""
        ...

    def open_pull_request(
        self, repository: Repository, *, head: str, base: str, title: str, body: str, draft: bool
    ) -> PullRequest:
        """Open a pull request; if one is open from ``head``, that one."""
        ...

    def update_pull_request(self, repository: Repository, number: int, *, body: str) -> PullRequest:
        """Give an open pull request a new text."""
        ...

    def rate_limit(self) -> RateLimit | None:
        """As the latest answer said; None before the first."""
        ...


# --- helper programs ------------------------------------------------------------------------


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


# --- trust ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an issue is not worked on; ``why`` is one sentence for the issue's comment."""

    reason: Reason
    why: str


class Gate(Protocol):
    """Decides whether an issue's present text may reach an agent."""

    def admit(self, ref: IssueRef, trigger: Trigger) -> Issue | Refusal:
        """The issue with the very text that was judged, or why not. Blocks.

        Raises a ``GitHubError`` where GitHub does not tell.
        """
        ...


# --- workspaces -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Workspace:
    """A git worktree of one run.

    ``base`` is the commit it started from; ``published`` the commit that the run's branch had
    on the server then, None if there was no such branch.
    """

    run_id: str
    path: Path
    base: str
    published: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What an attempt changed: one commit on top of, or descending from, the base."""

    commit: str
    files: int


class Workspaces(Protocol):
    """Mirrors and worktrees. Raises WorkspaceError."""

    async def prepare(
        self, run_id: str, repository: Repository, *, branch: str, start_from: str
    ) -> Workspace:
        """Fetch the repository and make a clean worktree at branch ``start_from``.

        Its checked-out branch is called ``branch``. Done again, it starts clean again.
        """
        ...

    async def collect(
        self, workspace: Workspace, repository: Repository, *, message: str, at: datetime
    ) -> Changes | None:
        """Commit what the agent left uncommitted; None if nothing differs from the base.

        The same content, message and moment give the same commit. Nothing that an agent
        could have written (hooks, filters, configuration) takes effect.
        """
        ...

    async def push(
        self, workspace: Workspace, repository: Repository, *, commit: str, branch: str
    ) -> None:
        """Make the server's branch this commit; fine if it is already.

        Raises PushRejectedError if the server refuses or somebody else moved the branch.
        """
        ...

    async def remove(self, run_id: str) -> None:
        """Delete the run's worktree; fine if there is none."""
        ...


# --- agents and their execution -------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class AgentCommand:
    """How an agent is started. ``environment`` is all of it; ``stdin`` is written and closed.

    ``files`` (absolute path to text) exist before the start; those that are ``executable`` may
    be run. ``directories`` are there and empty at the start and gone after the end. ``ignored``
    are paths in the workspace that the agent's own tools leave behind and that are no part of
    its work.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    stdin: str
    files: Mapping[Path, str]
    ignored: tuple[str, ...] = ()
    executable: frozenset[Path] = frozenset()
    directories: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running agent last said of itself."""

    usage: Usage = field(default_factory=Usage)
    last_event: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the agent's own words and exit code mean success.

    ``reason`` is None for success. Whether the workspace holds a change is judged later.
    ``summary`` is the agent's closing text, for the pull request.
    """

    reason: Reason | None
    usage: Usage
    detail: str | None = None
    summary: str | None = None


class AgentOutput(Protocol):
    """Reads an agent's standard output line by line."""

    def feed(self, line: str) -> None:
        """Take the next line; what is not understood is ignored."""
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


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one attempt, in seconds."""

    timeout_seconds: float
    stall_timeout_seconds: float


@dataclass(frozen=True, slots=True)
class ProcessEnded:
    """How an attempt's process ended.

    ``exit_code`` is 128 + n after signal n, and 127 or 126 if the program could not be started.
    ``stopped`` is ``timed_out``, ``stalled`` or ``fatal`` if the runner ended it, else None.
    ``stderr_tail`` is the last 4 KiB of standard error.
    """

    exit_code: int
    stopped: str | None
    started_at: datetime
    ended_at: datetime
    stderr_tail: str


class Execution(Protocol):
    """Runs an agent's process and leaves nothing of it behind."""

    async def run(
        self,
        task: AgentTask,
        command: AgentCommand,
        limits: Limits,
        output: AgentOutput,
        on_progress: Callable[[Progress], None],
    ) -> ProcessEnded:
        """Run to the end; feed every line of standard output to ``output``.

        Both streams are kept in the attempt's directory. First ends whatever an earlier,
        killed daemon left of this run. On CancelledError the process and all its
        descendants are dead before it is raised on. Raises ExecutionError if something of the
        run cannot be ended or the attempt's directory cannot be written.
        """
        ...


# --- systemd --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UnitState:
    """A service unit as systemd sees it.

    The words are systemd's own: ``load`` (``loaded``, ``not-found``, ``masked``), ``active``
    (``active``, ``reloading``, ``inactive``, ``failed``, ``activating``, ``deactivating``),
    ``sub`` (``running``, ``dead``), ``file`` (``enabled``, ``disabled``), ``result``
    (``success``, ``exit-code``, ``timeout``, ``watchdog``). Numbers are None where systemd
    does not count them.
    """

    unit: str
    load: str
    active: str
    sub: str
    file: str
    result: str
    main_pid: int | None
    exit_status: int | None
    """Exit code or signal of the main process that last ended; None while none has."""
    restarts: int
    status_text: str | None
    """What the daemon last said of itself."""
    active_since: datetime | None
    memory_bytes: int | None
    cpu_seconds: float | None
    tasks: int | None

    @property
    def is_active(self) -> bool:
        """Whether the service is up; during a reload it is."""
        return self.active in {"active", "reloading"}


class ServiceUnits(Protocol):
    """Service units of this host. Every method blocks and may raise ServiceError.

    Those with ``timeout_seconds`` return once systemd has finished the job, with success.
    Units are named in full, ``claude-flow.service``.
    """

    def start(self, unit: str, *, timeout_seconds: float) -> None:
        """Start; fine if it runs. A unit of Type=notify has then said READY."""
        ...

    def stop(self, unit: str, *, timeout_seconds: float) -> None:
        """Stop; fine if it does not run."""
        ...

    def restart(self, unit: str, *, timeout_seconds: float) -> None:
        """Stop if it runs, then start."""
        ...

    def reload(self, unit: str, *, timeout_seconds: float) -> None:
        """Ask a running service to read its configuration anew."""
        ...

    def enable(self, unit: str) -> None:
        """Start it at every boot from now on."""
        ...

    def disable(self, unit: str) -> None:
        """No longer start it at boot; whether it runs now stays as it is."""
        ...

    def kill(self, unit: str, *, signal: int, whom: str = "all") -> None:
        """Send a signal to its ``all`` or its ``main`` process."""
        ...

    def reset_failed(self, unit: str) -> None:
        """Forget that it failed, and its count of restarts."""
        ...

    def state(self, unit: str) -> UnitState:
        """As it is now; a unit that does not exist has ``load`` ``not-found``."""
        ...
