"""One attempt of each real agent against a scripted model, without a network."""

import os
import pwd
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from claude_flow.agents import AgentSettings, droppings, make_agent
from claude_flow.config import config_schema
from claude_flow.execution.event_log import EventPosition, RunEvents
from claude_flow.execution.local import LocalExecution, LocalSettings
from claude_flow.execution.sandbox import Network, Sandbox, SandboxMode, SandboxSettings
from claude_flow.model.events import AgentEvent
from claude_flow.model.issue import IssueRef
from claude_flow.ports import AgentCommand, AgentTask, Limits, Progress, Verdict
from claude_flow.testing.messages_api import MessagesApi
from claude_flow.testing.serving import LoopbackServer
from tests.real_agents import REPOSITORY, Installed, installed

__all__ = ["REPOSITORY", "installed"]

AMPLE = Limits(timeout_seconds=240, stall_timeout_seconds=120)
# Far under what the programs would take that were left alone (ten tries, each later than the
# one before), far over what they take on a busy machine.
SOON_SECONDS = 150
KEY = "sk-ant-made-up-0123456789"
DEFAULT_TOOLS = tuple(config_schema().settings["claude_flow.allowed_tools"].default)
ALLOWED: tuple[str, ...] = ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "PATH", "LANG")
# What the programs are known to leave where they are not kept apart.
_LITTER = re.compile(r"\.?(claude(\.json|-\d+)?|ruflo|swarm|hive-mind|npm|node-compile-cache)")

COMMAND, CLAUDE, CLAUDE_FLOW_2, CLAUDE_FLOW_3 = AGENTS = (
    "command",
    "claude",
    "claude-flow 2",
    "claude-flow 3",
)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    server = LoopbackServer()
    yield server
    server.stop()


@pytest.fixture
def api(server: LoopbackServer) -> MessagesApi:
    messages = MessagesApi(server)
    server.start(messages.app)
    return messages


@pytest.fixture(params=AGENTS)
def bench(
    request: pytest.FixtureRequest,
    installed: Installed,
    server: LoopbackServer,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> Iterator["Bench"]:
    """Afterwards nothing of the attempt may live on, and no file lie outside its folders."""
    bench = Bench(request.param, installed, server.url, tmp_path)
    yield bench
    record_property("seconds", round(bench.seconds, 1))
    assert bench.left_alive() == []
    assert bench.litter() == []
    assert bench.seconds < SOON_SECONDS


def ignore(_: Progress) -> None:
    """Hear of progress and do nothing."""


def as_it_is(command: AgentCommand) -> AgentCommand:
    """The command itself."""
    return command


class Bench:
    """One agent in a fresh git repository; ``around`` changes how it is started."""

    def __init__(self, agent: str, installed: Installed, api_url: str, root: Path) -> None:
        self.workspace = root / "workspace"
        self.workspace.mkdir()
        subprocess.run(["git", "init", "-q"], cwd=self.workspace, check=True)
        self.agent = agent
        self.kind = agent.partition(" ")[0]
        self.root = root
        self.task = AgentTask(
            run_id=f"widgets-7-{os.getpid()}",
            attempt=1,
            issue=IssueRef.parse("octo/widgets#7"),
            workspace=self.workspace,
            scratch=root / "runs" / "1" / "scratch",
            prompt="--do 'what' $the issue\nasks for",
        )
        self.prefix = installed.line_2 if agent == CLAUDE_FLOW_2 else installed.current
        self.host = {
            "PATH": f"{os.environ['PATH']}:{installed.current / 'bin'}",
            "LANG": "C.UTF-8",
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": api_url,
            "GITHUB_TOKEN": "ghp_must_not_be_seen",
        }
        self._execution = self._executing(None)
        self._since = time.time()
        self.seconds = 0.0
        self.allowed = ALLOWED
        self.around: Callable[[AgentCommand], AgentCommand] = as_it_is

    def _executing(self, sandbox: Sandbox | None) -> LocalExecution:
        settings = LocalSettings(
            runs_directory=self.root / "runs", grace_seconds=4, poll_seconds=0.02
        )
        return LocalExecution(settings, clock=lambda: datetime.now(UTC), sandbox=sandbox)

    def bound_to_its_model(self, *readable: Path) -> None:
        """Run it in a sandbox whence it reaches its model alone, and reads these files too."""
        settings = SandboxSettings(
            mode=SandboxMode.REQUIRED,
            network=Network.HOSTS,
            programs=(self.prefix,),
            readable=readable,
        )
        self._execution = self._executing(Sandbox(settings))

    def settings(
        self,
        *,
        max_turns: int | None = 50,
        budget_usd: float | None = None,
        allowed_tools: tuple[str, ...] = DEFAULT_TOOLS,
    ) -> AgentSettings:
        """What an operator would configure for this agent."""
        settings = AgentSettings(
            kind=self.kind,
            install_prefix=self.prefix,
            max_turns=max_turns,
            budget_usd=budget_usd,
            environment_allowlist=self.allowed,
            allowed_tools=allowed_tools,
        )
        if self.kind != "command":
            return settings
        return replace(settings, command=(str(self._own_command(settings)),))

    def _own_command(self, settings: AgentSettings) -> Path:
        """A script such as people write around Claude Code."""
        options = ["--output-format", "stream-json", "--verbose", "--permission-mode"]
        options += ["acceptEdits", "--max-turns", str(settings.max_turns)]
        if settings.budget_usd is not None:
            options += ["--max-budget-usd", f"{settings.budget_usd:f}"]
        options += ["--allowedTools", *settings.allowed_tools]
        path = self.root / "my-agent"
        path.write_text(
            "#!/bin/sh\n"
            "export CLAUDE_CODE_MAX_RETRIES=4 CLAUDE_CODE_DISABLE_BACKGROUND_TASKS=1\n"
            "export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1\n"
            f"exec claude -p {shlex.join(options)}\n"
        )
        path.chmod(0o755)
        return path

    async def run(
        self,
        *,
        limits: Limits = AMPLE,
        on_progress: Callable[[Progress], None] = ignore,
        max_turns: int | None = 50,
        budget_usd: float | None = None,
        allowed_tools: tuple[str, ...] = DEFAULT_TOOLS,
        task: AgentTask | None = None,
    ) -> Verdict:
        """Run the agent on the task to its end."""
        task = task or self.task
        settings = self.settings(
            max_turns=max_turns, budget_usd=budget_usd, allowed_tools=allowed_tools
        )
        agent = make_agent(settings, self.host, str)
        agent.check()
        output = agent.output()
        started = time.monotonic()
        try:
            ended = await self._execution.run(
                task, self.around(agent.command(task)), limits, output, on_progress
            )
        finally:
            self.seconds += time.monotonic() - started
        return output.verdict(ended)

    def events(self) -> list[AgentEvent]:
        """What was told of the run so far."""
        reader, position, events = RunEvents(self.root / "runs"), EventPosition(), []
        while told := reader.after(self.task.run_id, position):
            position = told[-1].end
            events += [AgentEvent.from_line(one.line) for one in told]
        return events

    def changed(self) -> list[str]:
        """What git sees as new beside what the agent says is to be ignored."""
        exclude = self.workspace / ".git" / "info" / "exclude"
        exclude.write_text("".join(f"/{path}\n" for path in droppings(self.kind)))
        status = subprocess.run(
            ["git", "status", "--porcelain"],
            cwd=self.workspace,
            capture_output=True,
            check=True,
            text=True,
        )
        return [line.removeprefix("?? ") for line in status.stdout.splitlines()]

    def left_alive(self) -> list[psutil.Process]:
        """Processes that carry this attempt's workspace in their environment."""
        found = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
            except psutil.Error:
                continue
            if environment.get("CLAUDE_FLOW_WORKSPACE") == str(self.workspace):
                found.append(process)
        return found

    def litter(self) -> list[Path]:
        """What lies outside the attempt's folders since the bench was made."""
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
        places = {
            home,
            Path(tempfile.gettempdir()),
            Path("/tmp"),
            Path("/var/tmp"),
            Path("/dev/shm"),
        }
        return [
            path
            for place in places
            if place.is_dir()
            for path in place.iterdir()
            if _LITTER.fullmatch(path.name) and path.lstat().st_mtime >= self._since
        ]
