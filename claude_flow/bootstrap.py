"""The one place that wires adapters to ports, from a configuration."""

from __future__ import annotations

import contextlib
import os
import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from claude_flow.agents.factory import make_agent
from claude_flow.agents.secrets import secret_values
from claude_flow.agents.settings import AgentSettings
from claude_flow.agents.surroundings import droppings
from claude_flow.config import ConfigManager
from claude_flow.engine.record import RunRecord
from claude_flow.engine.record import open_record as open_engine_record
from claude_flow.engine.settings import EngineSettings
from claude_flow.errors import EngineError, StateDirectoryError, TokenRefusedError
from claude_flow.execution.local import LocalExecution, LocalSettings
from claude_flow.execution.processes import ProcessRunner
from claude_flow.github import ApiSession, AppIdentity, AppInstallation, GitHubClient, Login
from claude_flow.journal import redactor
from claude_flow.model.breaker import BreakerPolicy
from claude_flow.model.budgets import Budgets
from claude_flow.model.issue import Repository
from claude_flow.model.retries import RetryPolicy
from claude_flow.ports import Agent, Engine, GitHub, Limits, Progress
from claude_flow.triggers.brakes import RecordedBrakes
from claude_flow.triggers.poller import Poller
from claude_flow.triggers.trust import TrustGate
from claude_flow.workflow import AttemptRunner, Patience, Worker, WorkSettings
from claude_flow.workflow.announcer import Announcer, Labels
from claude_flow.workflow.change_limits import ChangeLimits
from claude_flow.workflow.housekeeping import Housekeeping
from claude_flow.workflow.publisher import Publisher
from claude_flow.workflow.retention import RetentionPolicy
from claude_flow.workspace import (
    Credential,
    GitWorkspaces,
    SpaceWatch,
    WorkspaceSettings,
    WorkspaceStorage,
)

# An App's token lasts an hour: older ones need no mask.
_TOKENS_MASKED = 8
_AUTHOR_NAME = "claude-flow"
_AUTHOR_EMAIL = "claude-flow@users.noreply.github.com"


@dataclass(slots=True)
class LiveProgress:
    """What the agents of this process last said; written by their threads, read by others."""

    by_run: dict[str, Progress] = field(default_factory=dict)

    def note(self, run_id: str, progress: Progress) -> None:
        """Keep the latest word of a run's agent."""
        self.by_run[run_id] = progress

    def forget(self, run_id: str) -> None:
        """The run's attempt is over."""
        self.by_run.pop(run_id, None)


@dataclass(frozen=True, slots=True)
class Parts:
    """A wired service: what a daemon, or one run in the foreground, works with."""

    config: ConfigManager
    engine: Engine
    github: GitHub
    poller: Poller
    announcer: Announcer
    attempts: AttemptRunner
    progress: LiveProgress
    agent: Callable[[], Agent]
    clock: Callable[[], datetime]
    housekeeping: Housekeeping
    space: SpaceWatch


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def wire(
    config: ConfigManager,
    *,
    environ: Mapping[str, str] | None = None,
    clock: Callable[[], datetime] = utc_now,
    patience: Patience | None = None,
    on_fatal: Callable[[EngineError], None] | None = None,
) -> Parts:
    """Wire everything for a configuration; nothing is opened or asked yet.

    ``environ`` is the host's environment, of which agents and git get only what is allowed.
    """
    # Late: it loads the engine, half a second that reading the record does not need.
    from claude_flow.engine.durable import DurableEngine  # noqa: PLC0415

    environ = os.environ if environ is None else environ
    patience = patience or Patience()
    redactor.add(*secret_values(environ))
    login = login_of(config, clock=clock)
    space = space_watch(config)
    engine = DurableEngine(_engine_settings(config, clock, space), on_fatal)
    github = make_github(config, login, clock=clock)
    state = Path(config.get("service.state_directory"))
    places = _workspace_settings(config, state, login, environ)
    workspaces = GitWorkspaces(places, ProcessRunner())
    progress = LiveProgress()
    announcer = Announcer(
        github, labels=lambda: _labels(config), patience=patience, redact=redactor.redact
    )

    def agent() -> Agent:
        return agent_of(config, environ)

    brakes = RecordedBrakes(
        engine,
        breaker=lambda: _breaker_policy(config),
        budgets=lambda: _budgets(config),
        clock=clock,
    )
    worker = Worker(
        github=github,
        workspaces=workspaces,
        agent=agent,
        execution=LocalExecution(LocalSettings(runs_directory=state / "runs"), clock=clock),
        settings=lambda: _work_settings(config, state),
        patience=patience,
        redact=redactor.redact,
        on_progress=progress.note,
    )
    attempts = AttemptRunner(
        engine=engine,
        gate=TrustGate(
            github, minimum_permission=lambda: str(config.get("github.trust.minimum_permission"))
        ),
        brakes=brakes,
        worker=worker,
        workspaces=workspaces,
        announcer=announcer,
        publisher=Publisher(
            github,
            workspaces,
            agent_name=lambda: str(config.get("claude_flow.agent")),
            draft=lambda: bool(config.get("github.pull_request.draft")),
            limits=lambda: _change_limits(config),
            patience=patience,
            redact=redactor.redact,
        ),
        retries=lambda: _retry_policy(config),
        draw=random.random,
        patience=patience,
        clock=clock,
        redact=redactor.redact,
        forget_progress=progress.forget,
    )
    poller = Poller(
        github,
        engine,
        brakes,
        trigger_label=lambda: str(config.get("github.trigger_label")),
        clock=clock,
    )
    return Parts(
        config=config,
        engine=engine,
        github=github,
        poller=poller,
        announcer=announcer,
        attempts=attempts,
        progress=progress,
        agent=agent,
        clock=clock,
        housekeeping=Housekeeping(
            storage=WorkspaceStorage(places, ProcessRunner()),
            workspaces=workspaces,
            engine=engine,
            policy=lambda: _retention_policy(config),
            repositories=lambda: map(Repository.parse, config.get("github.repositories")),
            free_bytes=lambda: space.free_bytes(places.workspace_root),
            clock=clock,
        ),
        space=space,
    )


def space_watch(config: ConfigManager) -> SpaceWatch:
    """Watches the disks that runs write to."""
    return SpaceWatch(
        [Path(config.get(f"service.{name}")) for name in ("state_directory", "workspace_root")],
        lambda: int(config.get("workspace.min_free_bytes")),
    )


def make_github(
    config: ConfigManager, login: Login, *, clock: Callable[[], datetime] = utc_now
) -> GitHubClient:
    """GitHub as the configuration names it; nothing is asked yet."""
    session = ApiSession(
        config.get("github.api_url"),
        login.token,
        clock=clock,
        monotonic=time.monotonic,
        renew=login.renew,
    )
    return GitHubClient(session, app_login=login.app_login)


def login_of(config: ConfigManager, *, clock: Callable[[], datetime] = utc_now) -> Login:
    """What the service shows GitHub, as the configuration in force names it."""
    expiring: deque[str] = deque()

    def learn(token: str) -> None:
        redactor.add(token)
        expiring.append(token)
        if len(expiring) > _TOKENS_MASKED:
            redactor.forget(expiring.popleft())

    def act_as(identity: AppIdentity) -> AppInstallation:
        return AppInstallation(
            config.get("github.api_url"),
            identity,
            clock=clock,
            monotonic=time.monotonic,
            learn=learn,
        )

    return Login(lambda: _credential_of(config), act_as)


def agent_of(config: ConfigManager, environ: Mapping[str, str]) -> Agent:
    """The agent that the configuration in force names."""
    return make_agent(_agent_settings(config), environ, redactor.redact)


def open_record(config: ConfigManager) -> RunRecord:
    """The record of runs, for reading by a process that is not the daemon."""
    return open_engine_record(
        config.get("engine.database_url"), Path(config.get("service.state_directory"))
    )


def _credential_of(config: ConfigManager) -> str | AppIdentity:
    snapshot = config.snapshot()
    app_id = snapshot.get("github.app.id")
    secret = snapshot.secret("github.token" if app_id is None else "github.app.private_key_file")
    if secret is None:
        raise TokenRefusedError(
            "there is no credential for GitHub",
            hint="set github.token_file or github.app.private_key_file and reload",
        )
    redactor.add(secret.reveal())  # a reload may bring a new one
    if app_id is None:
        return secret.reveal()
    return AppIdentity(app_id, snapshot.get("github.app.installation_id"), secret.reveal())


def _engine_settings(
    config: ConfigManager, clock: Callable[[], datetime], space: SpaceWatch
) -> EngineSettings:
    state = Path(config.get("service.state_directory"))
    return EngineSettings(
        database_url=config.get("engine.database_url"),
        state_directory=state,
        host_id=host_id(state),
        max_concurrent_runs=config.get("service.max_concurrent_runs"),
        max_concurrent_runs_per_repository=config.get("service.max_concurrent_runs_per_repository"),
        clock=clock,
        has_room=space.has_room,
    )


def host_id(state_directory: Path, new_id: Callable[[], str] = lambda: uuid.uuid4().hex) -> str:
    """This installation's name among those that share a database; made once, then kept.

    Raises StateDirectoryError if the state directory cannot be written.
    """
    path = state_directory / "host-id"
    try:
        state_directory.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path, new_id())
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise StateDirectoryError(
            f"cannot write the state directory {state_directory}: {error.strerror}",
            hint="set service.state_directory to a directory that this user may write",
        ) from error


def _write_once(path: Path, text: str) -> None:
    """Make a file that is whole whenever it is there; fine if another process was first."""
    beside = path.with_name(f".{path.name}.{text}")
    try:
        beside.write_text(text + "\n", encoding="ascii")
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(beside)
    finally:
        beside.unlink(missing_ok=True)


def _workspace_settings(
    config: ConfigManager, state: Path, login: Login, environ: Mapping[str, str]
) -> WorkspaceSettings:
    return WorkspaceSettings(
        repos_directory=state / "repos",
        runs_directory=state / "runs",
        workspace_root=Path(config.get("service.workspace_root")),
        git_base_url=config.get("github.git_base_url"),
        credential=lambda: Credential("x-access-token", login.token()),
        host_environment=environ,
        author_name=_AUTHOR_NAME,
        author_email=_AUTHOR_EMAIL,
        ignored=lambda: droppings(config.get("claude_flow.agent")),
        partial_clone=lambda: bool(config.get("workspace.partial_clone")),
    )


def _agent_settings(config: ConfigManager) -> AgentSettings:
    command = config.get("claude_flow.command")
    return AgentSettings(
        kind=config.get("claude_flow.agent"),
        command=None if command is None else tuple(command),
        install_prefix=Path(config.get("claude_flow.install_prefix")),
        version=config.get("claude_flow.version"),
        max_turns=config.get("claude_flow.max_turns"),
        budget_usd=config.get("claude_flow.budget_usd"),
        environment_allowlist=tuple(config.get("claude_flow.environment_allowlist")),
    )


def _work_settings(config: ConfigManager, state: Path) -> WorkSettings:
    return WorkSettings(
        limits=Limits(
            timeout_seconds=config.get("claude_flow.timeout_seconds"),
            stall_timeout_seconds=config.get("claude_flow.stall_timeout_seconds"),
        ),
        runs_directory=state / "runs",
    )


def _retry_policy(config: ConfigManager) -> RetryPolicy:
    return RetryPolicy(
        max_attempts=config.get("claude_flow.max_attempts"),
        backoff_seconds=config.get("claude_flow.retry_backoff_seconds"),
        backoff_max_seconds=config.get("claude_flow.retry_backoff_max_seconds"),
        model_wait_seconds=config.get("claude_flow.model_wait_seconds"),
    )


def _change_limits(config: ConfigManager) -> ChangeLimits:
    return ChangeLimits(
        max_files=config.get("workflow.max_changed_files"),
        max_lines=config.get("workflow.max_changed_lines"),
        forbidden_paths=tuple(config.get("workflow.forbidden_paths")),
    )


def _retention_policy(config: ConfigManager) -> RetentionPolicy:
    return RetentionPolicy(
        keep_failed=timedelta(seconds=config.get("workspace.keep_failed_seconds")),
        keep_runs=timedelta(days=config.get("workspace.keep_runs_days")),
        max_total_bytes=config.get("workspace.max_total_bytes"),
        min_free_bytes=config.get("workspace.min_free_bytes"),
    )


def _breaker_policy(config: ConfigManager) -> BreakerPolicy:
    return BreakerPolicy(
        failures=config.get("claude_flow.breaker_failures"),
        pause_seconds=config.get("claude_flow.breaker_pause_seconds"),
    )


def _budgets(config: ConfigManager) -> Budgets:
    return Budgets(
        run_usd=config.get("claude_flow.run_budget_usd"),
        repository_daily_usd=config.get("claude_flow.repository_daily_budget_usd"),
        daily_usd=config.get("claude_flow.daily_budget_usd"),
    )


def _labels(config: ConfigManager) -> Labels:
    return Labels(config.get("github.trigger_label"), config.get("github.state_label_prefix"))
