"""Everything an attempt touches, in memory."""

from __future__ import annotations

from pathlib import Path

from claude_flow.agents.command import CommandAgent
from claude_flow.agents.settings import AgentSettings
from claude_flow.agents.shell import RepositoryShell
from claude_flow.agents.surroundings import Surroundings
from claude_flow.execution.processes import ProcessRunner
from claude_flow.model.breaker import BreakerPolicy
from claude_flow.model.budgets import Budgets
from claude_flow.model.issue import IssueRef, Repository
from claude_flow.model.retries import RetryPolicy
from claude_flow.model.run import Run, Trigger, TriggerKind
from claude_flow.ports import AgentTask, Progress, Workspace
from claude_flow.testing.clock import FakeClock
from claude_flow.testing.daemon_process import until
from claude_flow.testing.fake_engine import FakeEngine
from claude_flow.testing.fake_execution import Edit, FakeExecution, Scenario
from claude_flow.testing.fake_github import FakeGitHub
from claude_flow.testing.fake_workspaces import FakeWorkspaces
from claude_flow.triggers.brakes import RecordedBrakes
from claude_flow.triggers.trust import TrustGate
from claude_flow.workflow import AttemptRunner, Patience, Worker
from claude_flow.workflow.announcer import Announcer, Labels
from claude_flow.workflow.briefing import Briefing
from claude_flow.workflow.change_limits import ChangeLimits
from claude_flow.workflow.commands import Commands
from claude_flow.workflow.publisher import Publisher
from claude_flow.workflow.removal import WorkspaceRemoval
from claude_flow.workflow_file import Numbers, Operator
from claude_flow.workflow_file.renderer import Renderer

LABEL = "ready-for-implementation"
WIDGETS = Repository("acme", "widgets")
GREET = Scenario((Edit("greeting.txt", "Hello!\n"),))


OPERATOR = Operator(
    ".github/claude-flow.md",
    frozenset({"prompt", "hooks", "verify"}),
    Numbers(
        max_turns=50,
        budget_usd=None,
        timeout_seconds=60,
        stall_timeout_seconds=60,
        max_attempts=2,
    ),
)


SHELL_SETTINGS = AgentSettings(
    kind="command", environment_allowlist=("PATH", "LANG", "ANTHROPIC_API_KEY")
)
SHELL_HOST = {"PATH": "/bin", "LANG": "C", "ANTHROPIC_API_KEY": "hunter2"}


def redact(text: str) -> str:
    return text.replace("hunter2", "***")


class SharedWorkspaces(FakeWorkspaces):
    """Its pushes are seen by the GitHub in memory."""

    def __init__(self, root: Path, github: FakeGitHub) -> None:
        super().__init__(root)
        self._github = github

    async def push(
        self, workspace: Workspace, repository: Repository, *, commit: str, branch: str
    ) -> None:
        await super().push(workspace, repository, commit=commit, branch=branch)
        self._github.state.git.commit(str(repository), branch, {"c": commit}, "Push", author="bot")


class Scene:
    """Everything an attempt touches, in memory; ``scenario`` is what its agent does.

    ``first``, if set, is what it does in the first attempt.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = FakeClock()
        self.github = FakeGitHub(self.clock)
        self.people = self.github.state
        self.people.add_repository(WIDGETS, permissions={"maria": "write"})
        self.workspaces = SharedWorkspaces(root / "workspaces", self.github)
        self.workspaces.server.seed(WIDGETS, {"README.md": "# widgets\n"})
        self.engine = FakeEngine(self.clock)
        self.scenario = GREET
        self.first: Scenario | None = None
        self.limits = ChangeLimits()
        self.breaker = BreakerPolicy(failures=None, pause_seconds=600)
        self.budgets = Budgets()
        self.told_usd: dict[str, float] = {}
        self.retries = RetryPolicy(2, 0.01, 0.01)
        self.operator = OPERATOR
        self.numbers: list[Numbers] = []
        self.allowed_tools: list[tuple[str, ...]] = []
        self.progress: dict[str, Progress] = {}
        self.heard: list[str] = []
        self.play = self._played
        self.execution = FakeExecution(self._play, clock=self.clock)
        self.ref: IssueRef = self.people.open_issue(WIDGETS, "Greet", "Please.", "maria")
        self.people.label_issue(self.ref, LABEL, "maria")

    def launch(self) -> None:
        """Begin to work, or go on, as a daemon's start does."""
        self.engine = FakeEngine(self.clock, state=self.engine.state)
        patience = Patience(first_seconds=0.01, longest_seconds=0.02)
        labels = Labels(LABEL, "claude-flow:")
        announcer = Announcer(self.github, labels=lambda: labels, patience=patience, redact=redact)
        publisher = Publisher(
            self.github,
            self.workspaces,
            agent_name=lambda: "command",
            draft=lambda: True,
            limits=lambda: self.limits,
            patience=patience,
            redact=redact,
        )
        gate = TrustGate(self.github, minimum_permission=lambda: "write")
        briefing = Briefing(
            workspaces=self.workspaces,
            gate=gate,
            operator=lambda: self.operator,
            render=Renderer(ProcessRunner()).render,
            patience=patience,
        )
        commands = Commands(
            execution=self.execution,
            find_shell=lambda: RepositoryShell(SHELL_SETTINGS, SHELL_HOST),
            redact=redact,
        )
        self.removal = WorkspaceRemoval(
            github=self.github,
            workspaces=self.workspaces,
            briefing=briefing,
            commands=commands,
            runs_directory=self.root / "runs",
        )
        brakes = RecordedBrakes(
            self.engine,
            breaker=lambda: self.breaker,
            budgets=lambda: self.budgets,
            clock=self.clock,
            told_usd=lambda run_id: self.told_usd.get(run_id, 0.0),
        )
        worker = Worker(
            github=self.github,
            workspaces=self.workspaces,
            briefing=briefing,
            agent=self._agent,
            budgets=brakes.budgets,
            commands=commands,
            removal=self.removal,
            is_cancelled=self.engine.is_cancelled,
            execution=self.execution,
            runs_directory=self.root / "runs",
            patience=patience,
            redact=redact,
            on_progress=self._hear,
        )
        runner = AttemptRunner(
            engine=self.engine,
            brakes=brakes,
            gate=gate,
            worker=worker,
            removal=self.removal,
            announcer=announcer,
            publisher=publisher,
            retries=lambda: self.retries,
            draw=lambda: 0.0,
            patience=patience,
            clock=self.clock,
            redact=redact,
            forget_progress=self._forget,
        )
        self.engine.launch(runner)

    def _hear(self, run_id: str, progress: Progress) -> None:
        self.progress[run_id] = progress
        self.heard.append(run_id)

    def _forget(self, run_id: str) -> None:
        self.progress.pop(run_id, None)

    def _agent(self, numbers: Numbers, allowed_tools: tuple[str, ...]) -> CommandAgent:
        self.numbers.append(numbers)
        self.allowed_tools.append(allowed_tools)
        settings = AgentSettings(
            kind="command",
            command=("agent",),
            install_prefix=self.root,
            version="1.0.0",
            max_turns=50,
            budget_usd=None,
            environment_allowlist=(),
        )
        return CommandAgent(("agent",), Surroundings(settings, {}), redact)

    def _play(self, task: AgentTask) -> Scenario:
        return self.play(task)  # tests put another in its place

    def _played(self, task: AgentTask) -> Scenario:
        return self.first if task.attempt == 1 and self.first is not None else self.scenario

    def submitted(self, key: str = "1") -> Run:
        run = Run.queued(
            self.ref, Trigger(TriggerKind.LABEL, key, "maria", self.clock()), self.clock()
        )
        assert self.engine.submit(run)
        return run

    def ended(self, run: Run) -> Run:
        def final() -> Run | None:
            found = self.engine.get(run.id)
            return found if found is not None and found.state.is_final else None

        found = until(final, lambda: f"the end of {self.engine.get(run.id)}", 30)
        assert found is not None
        return found

    @property
    def comment(self) -> str:
        (comment,) = self.people.comments(self.ref)
        return comment.body

    @property
    def labels(self) -> frozenset[str]:
        return self.people.labels(self.ref)
