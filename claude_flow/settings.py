"""What each part is told, read from the configuration in force."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from claude_flow.agents.settings import AgentSettings
from claude_flow.agents.surroundings import droppings
from claude_flow.config import ConfigManager
from claude_flow.engine.host import host_id
from claude_flow.engine.record import RunRecord
from claude_flow.engine.settings import EngineSettings
from claude_flow.execution.forwarding import ForwardProxy
from claude_flow.execution.sandbox import Network, SandboxMode, SandboxSettings
from claude_flow.execution.unit_limits import UnitLimits
from claude_flow.github import Login
from claude_flow.model.breaker import BreakerPolicy
from claude_flow.model.budgets import Budgets, daily_budgets, day_of
from claude_flow.model.retries import RetryPolicy
from claude_flow.model.usage import UsageBy, UsageReport, since_of, usage_of
from claude_flow.ports import Engine
from claude_flow.service.places import runtime_directories
from claude_flow.workflow.announcer import Labels
from claude_flow.workflow.change_limits import ChangeLimits
from claude_flow.workflow.retention import RetentionPolicy
from claude_flow.workflow_file import Hooks, Numbers, OnFailure, Operator, Verify
from claude_flow.workspace import Credential, SpaceWatch, WorkspaceSettings

_CONFIGURATION = Path("/etc/claude-flow")
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_AUTHOR_NAME = "claude-flow"
_AUTHOR_EMAIL = "claude-flow@users.noreply.github.com"


def engine_settings(
    config: ConfigManager, clock: Callable[[], datetime], space: SpaceWatch
) -> EngineSettings:
    """How the queue and its record are kept."""
    state = Path(config.get("service.state_directory"))
    return EngineSettings(
        database_url=config.get("engine.database_url"),
        state_directory=state,
        host_id=host_id(state),
        max_concurrent_runs=config.get("service.max_concurrent_runs"),
        max_concurrent_runs_per_repository=config.get("service.max_concurrent_runs_per_repository"),
        clock=clock,
        host_timeout_seconds=config.get("engine.host_timeout_seconds"),
        has_room=space.has_room,
    )


def workspace_settings(
    config: ConfigManager, state: Path, login: Login, environ: Mapping[str, str]
) -> WorkspaceSettings:
    """Where the git work is done, and as whom."""
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
        lfs=lambda: bool(config.get("workspace.lfs")),
    )


def agent_settings(config: ConfigManager) -> AgentSettings:
    """Which agent, and what it may use."""
    command = config.get("claude_flow.command")
    return AgentSettings(
        kind=config.get("claude_flow.agent"),
        command=None if command is None else tuple(command),
        install_prefix=Path(config.get("claude_flow.install_prefix")),
        version=config.get("claude_flow.version"),
        max_turns=config.get("claude_flow.max_turns"),
        budget_usd=config.get("claude_flow.budget_usd"),
        environment_allowlist=tuple(config.get("claude_flow.environment_allowlist")),
        allowed_tools=tuple(config.get("claude_flow.allowed_tools")),
    )


def operator(config: ConfigManager) -> Operator:
    """What holds for every repository, and what its own workflow file may say about it."""
    return Operator(
        path=config.get("workflow.path"),
        allowed=frozenset(config.get("workflow.allowed_overrides")),
        numbers=Numbers(
            max_turns=config.get("claude_flow.max_turns"),
            budget_usd=config.get("claude_flow.budget_usd"),
            timeout_seconds=config.get("claude_flow.timeout_seconds"),
            stall_timeout_seconds=config.get("claude_flow.stall_timeout_seconds"),
            max_attempts=config.get("claude_flow.max_attempts"),
        ),
        allowed_tools=tuple(config.get("claude_flow.allowed_tools")),
        verify=Verify(
            commands=tuple(config.get("workflow.verify.commands")),
            rounds=config.get("workflow.verify.rounds"),
            timeout_seconds=config.get("workflow.verify.timeout_seconds"),
            on_failure=OnFailure(config.get("workflow.verify.on_failure")),
        ),
        hooks=Hooks(
            after_create=config.get("workflow.hooks.after_create"),
            before_run=config.get("workflow.hooks.before_run"),
            after_run=config.get("workflow.hooks.after_run"),
            before_remove=config.get("workflow.hooks.before_remove"),
            timeout_seconds=config.get("workflow.hooks.timeout_seconds"),
        ),
    )


def sandbox_settings(config: ConfigManager, environ: Mapping[str, str]) -> SandboxSettings:
    """What an attempt of the local backend reaches of this host."""
    return SandboxSettings(
        is_local=config.get("execution.backend") == "local",
        mode=SandboxMode(config.get("execution.sandbox")),
        network=Network(config.get("execution.network")),
        hosts=tuple(config.get("execution.network_hosts")),
        forward=ForwardProxy.of(environ),
        programs=(Path(config.get("claude_flow.install_prefix")),),
        readable=tuple(map(Path, config.get("execution.readable_paths"))),
        writable=tuple(map(Path, config.get("execution.writable_paths"))),
        hidden=tuple(_own_files(config, environ)),
        search_path=environ.get("PATH") or _SYSTEM_PATH,
    )


def unit_limits(config: ConfigManager) -> UnitLimits:
    """What an attempt of the systemd backend may use."""
    return UnitLimits(
        memory_max_bytes=config.get("execution.memory_max_bytes"),
        cpu_quota_percent=config.get("execution.cpu_quota_percent"),
        tasks_max=config.get("execution.tasks_max"),
    )


def _own_files(config: ConfigManager, environ: Mapping[str, str]) -> Iterator[Path]:
    """The service's own, which no agent is to see whatever else it may read."""
    yield Path(config.get("service.state_directory"))
    yield Path(config.get("service.workspace_root"))
    yield from runtime_directories(config, environ)
    yield config.path
    yield config.path.parent / "conf.d"
    yield _CONFIGURATION
    if named := environ.get("CREDENTIALS_DIRECTORY"):
        yield Path(named)
    for key, setting in config.schema.settings.items():
        if setting.is_secret_file and (path := config.get(key)) is not None:
            yield Path(path)


def retry_policy(config: ConfigManager) -> RetryPolicy:
    """When a failed attempt is tried again."""
    return RetryPolicy(
        max_attempts=config.get("claude_flow.max_attempts"),
        backoff_seconds=config.get("claude_flow.retry_backoff_seconds"),
        backoff_max_seconds=config.get("claude_flow.retry_backoff_max_seconds"),
        model_wait_seconds=config.get("claude_flow.model_wait_seconds"),
    )


def change_limits(config: ConfigManager) -> ChangeLimits:
    """What a change may touch to be published."""
    return ChangeLimits(
        max_files=config.get("workflow.max_changed_files"),
        max_lines=config.get("workflow.max_changed_lines"),
        forbidden_paths=tuple(config.get("workflow.forbidden_paths")),
    )


def retention_policy(config: ConfigManager) -> RetentionPolicy:
    """What stays of ended runs, and for how long."""
    return RetentionPolicy(
        keep_failed=timedelta(seconds=config.get("workspace.keep_failed_seconds")),
        keep_runs=timedelta(days=config.get("workspace.keep_runs_days")),
        max_total_bytes=config.get("workspace.max_total_bytes"),
        min_free_bytes=config.get("workspace.min_free_bytes"),
    )


def breaker_policy(config: ConfigManager) -> BreakerPolicy:
    """When a repository whose runs fail alike is paused."""
    return BreakerPolicy(
        failures=config.get("claude_flow.breaker_failures"),
        pause_seconds=config.get("claude_flow.breaker_pause_seconds"),
    )


def budgets(config: ConfigManager) -> Budgets:
    """What the agents may spend beyond one attempt."""
    return Budgets(
        run_usd=config.get("claude_flow.run_budget_usd"),
        repository_daily_usd=config.get("claude_flow.repository_daily_budget_usd"),
        daily_usd=config.get("claude_flow.daily_budget_usd"),
    )


def usage_report(
    record: Engine | RunRecord, config: ConfigManager, *, by: UsageBy, since: str, now: datetime
) -> UsageReport:
    """What agents used since a day, and what is left of the budgets. Blocks.

    Raises UsageError for a day that cannot be, EngineError.
    """
    limits, midnight = budgets(config), since_of(since, now)
    spent = record.spent_usd(day_of(now)) if limits.are_daily else {}
    return usage_of(
        record.worked_on_since(midnight),
        by=by,
        since=midnight,
        budgets=daily_budgets(limits, spent, config.get("github.repositories"), now),
    )


def labels(config: ConfigManager) -> Labels:
    """The labels that tell where an issue stands."""
    return Labels(config.get("github.trigger_label"), config.get("github.state_label_prefix"))
