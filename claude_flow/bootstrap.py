"""The one place that wires adapters to ports, from a configuration."""

from __future__ import annotations

import os
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from claude_flow import settings
from claude_flow.agents.factory import make_agent
from claude_flow.agents.secrets import secret_values
from claude_flow.agents.shell import RepositoryShell
from claude_flow.config import ConfigManager
from claude_flow.engine.record import RunRecord
from claude_flow.engine.record import open_record as open_engine_record
from claude_flow.errors import EngineError, TokenRefusedError
from claude_flow.execution.event_log import RunEvents
from claude_flow.execution.lease import LEASE_FILE, FileLease
from claude_flow.execution.local import LocalExecution, LocalSettings
from claude_flow.execution.processes import ProcessRunner
from claude_flow.execution.sandbox import Sandbox
from claude_flow.execution.unit_control import UnitControl, UnitSettings
from claude_flow.execution.unit_processes import UnitProcesses
from claude_flow.execution.unit_release import UnitRelease
from claude_flow.execution.units import UnitExecution
from claude_flow.github import ApiSession, AppIdentity, AppInstallation, GitHubClient, Login
from claude_flow.journal import redactor
from claude_flow.model.issue import Repository
from claude_flow.ports import (
    Agent,
    AgentPlaces,
    Clock,
    Engine,
    Execution,
    GitHub,
    Processes,
)
from claude_flow.systemd.manager import SystemdUnits
from claude_flow.triggers.brakes import RecordedBrakes
from claude_flow.triggers.poller import Poller
from claude_flow.triggers.trust import TrustGate
from claude_flow.workflow import AttemptRunner, Patience, Worker
from claude_flow.workflow.announcer import Announcer
from claude_flow.workflow.briefing import Briefing
from claude_flow.workflow.commands import Commands
from claude_flow.workflow.housekeeping import Housekeeping
from claude_flow.workflow.live_progress import LiveProgress
from claude_flow.workflow.publisher import Publisher
from claude_flow.workflow.removal import WorkspaceRemoval
from claude_flow.workflow_file import Numbers
from claude_flow.workflow_file.renderer import Renderer
from claude_flow.workspace import (
    GitWorkspaces,
    SpaceWatch,
    WorkspaceStorage,
)

# An App's token lasts an hour: older ones need no mask.
_TOKENS_MASKED = 8


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
    events: RunEvents
    agent: Callable[[], Agent]
    clock: Callable[[], datetime]
    housekeeping: Housekeeping
    space: SpaceWatch
    units: UnitExecution | None
    """What runs the attempts, where they live on without this process."""
    sandbox: Sandbox


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
    lease = _host_lease(config)
    engine = DurableEngine(settings.engine_settings(config, clock, space), on_fatal, lease)
    github = make_github(config, login, clock=clock)
    state = Path(config.get("service.state_directory"))
    places = settings.workspace_settings(config, state, login, environ)
    control = _unit_control(config, lease)
    release = None if control is None else UnitRelease(control, clock)
    workspaces = GitWorkspaces(places, ProcessRunner(), _as_agent(control, clock), release)
    progress = LiveProgress()
    announcer = Announcer(
        github, labels=lambda: settings.labels(config), patience=patience, redact=redactor.redact
    )

    def agent() -> Agent:
        return agent_of(config, environ)

    def agent_within(numbers: Numbers, allowed_tools: tuple[str, ...]) -> Agent:
        told = replace(
            settings.agent_settings(config),
            max_turns=numbers.max_turns,
            budget_usd=numbers.budget_usd,
            allowed_tools=allowed_tools,
        )
        return make_agent(told, environ, redactor.redact)

    brakes = RecordedBrakes(
        engine,
        breaker=lambda: settings.breaker_policy(config),
        budgets=lambda: settings.budgets(config),
        clock=clock,
        told_usd=progress.cost_usd,
    )
    sandbox = sandbox_of(config, environ, workspaces.agent_places)
    units = None
    if control is not None:
        units = UnitExecution(
            control,
            places=workspaces.agent_places,
            is_wanted=partial(_is_wanted, engine),
            clock=clock,
            redact=redactor.redact,
        )
    execution: Execution = units or LocalExecution(
        LocalSettings(runs_directory=state / "runs", lease=lease),
        clock=clock,
        sandbox=sandbox,
        redact=redactor.redact,
    )
    gate = TrustGate(
        github, minimum_permission=lambda: str(config.get("github.trust.minimum_permission"))
    )
    briefing = Briefing(
        workspaces=workspaces,
        gate=gate,
        operator=lambda: settings.operator(config),
        render=Renderer(ProcessRunner()).render,
        patience=patience,
    )
    commands = Commands(
        execution=execution,
        find_shell=lambda: RepositoryShell(settings.agent_settings(config), environ),
        redact=redactor.redact,
    )
    removal = WorkspaceRemoval(
        github=github,
        workspaces=workspaces,
        briefing=briefing,
        commands=commands,
        runs_directory=state / "runs",
    )
    worker = Worker(
        github=github,
        workspaces=workspaces,
        briefing=briefing,
        agent=agent_within,
        budgets=brakes.budgets,
        commands=commands,
        removal=removal,
        is_cancelled=engine.is_cancelled,
        execution=execution,
        runs_directory=state / "runs",
        patience=patience,
        redact=redactor.redact,
        on_progress=progress.note,
    )
    attempts = AttemptRunner(
        engine=engine,
        gate=gate,
        brakes=brakes,
        worker=worker,
        removal=removal,
        announcer=announcer,
        publisher=Publisher(
            github,
            workspaces,
            agent_name=lambda: str(config.get("claude_flow.agent")),
            draft=lambda: bool(config.get("github.pull_request.draft")),
            limits=lambda: settings.change_limits(config),
            patience=patience,
            redact=redactor.redact,
        ),
        retries=lambda: settings.retry_policy(config),
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
        events=RunEvents(state / "runs"),
        agent=agent,
        clock=clock,
        housekeeping=Housekeeping(
            storage=WorkspaceStorage(places, ProcessRunner(), release),
            removal=removal,
            engine=engine,
            policy=lambda: settings.retention_policy(config),
            repositories=lambda: map(Repository.parse, config.get("github.repositories")),
            free_bytes=lambda: space.free_bytes(places.workspace_root),
            clock=clock,
        ),
        space=space,
        units=units,
        sandbox=sandbox,
    )


def _host_lease(config: ConfigManager) -> FileLease | None:
    """What this host's attempts watch, where others could take its runs over."""
    if config.get("engine.database_url") is None:
        return None
    units = _unit_settings(config)
    state = Path(config.get("service.state_directory"))
    return FileLease((state if units is None else units.units_directory) / LEASE_FILE)


def _unit_settings(config: ConfigManager) -> UnitSettings | None:
    if config.get("execution.backend") != "systemd":
        return None
    return UnitSettings(runs_directory=Path(config.get("service.state_directory")) / "runs")


def _unit_control(config: ConfigManager, lease: FileLease | None) -> UnitControl | None:
    """Attempts' units, if the configuration asks for them."""
    units = _unit_settings(config)
    return None if units is None else UnitControl(replace(units, lease=lease), SystemdUnits())


def _as_agent(
    control: UnitControl | None, clock: Clock
) -> Callable[[str, AgentPlaces], Processes] | None:
    """How programs are run as the agent, where it is another user."""
    if control is None:
        return None
    return lambda run_id, places: UnitProcesses(control, run_id, places, clock=clock)


def _is_wanted(record: Engine | RunRecord, run_id: str) -> bool:
    run = record.get(run_id)
    return run is not None and not run.state.is_final and not record.is_cancelled(run_id)


def end_orphans(parts: Parts) -> None:
    """Stop attempts' units that a daemon before this one left and nobody wants. Blocks.

    To be called before the engine is launched, so that no two agents work on one issue. Raises
    ExecutionError and EngineError.
    """
    if parts.units is not None:
        parts.units.end_orphans(partial(_is_wanted, open_record(parts.config)))


def warn_of_limits(parts: Parts) -> None:
    """Say in the log where attempts are not limited as the configuration wants it. Blocks."""
    if parts.units is not None:
        parts.units.warn_of_limits(settings.unit_limits(parts.config))


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
    return make_agent(settings.agent_settings(config), environ, redactor.redact)


def sandbox_of(
    config: ConfigManager,
    environ: Mapping[str, str],
    places: Callable[[str], AgentPlaces] | None = None,
) -> Sandbox:
    """The sandbox of attempts as the configuration wants it; nothing is tried yet."""
    return Sandbox(settings.sandbox_settings(config, environ), places)


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
