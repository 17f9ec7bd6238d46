"""An attempt among fakes: troubles of GitHub's, cancels, and what the issue is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from claude_flow.agents.command import CommandAgent
from claude_flow.agents.settings import AgentSettings
from claude_flow.agents.shell import RepositoryShell
from claude_flow.agents.surroundings import Surroundings
from claude_flow.errors import (
    ForbiddenError,
    GitHubUnreachableError,
    PushRejectedError,
    RateLimitedError,
    RejectedError,
    TokenRefusedError,
    WorkspaceError,
    WorkspaceGoneError,
    WorkspaceUnreachableError,
)
from claude_flow.execution.processes import ProcessRunner
from claude_flow.model.breaker import BreakerPolicy
from claude_flow.model.budgets import Budgets
from claude_flow.model.failures import FailureKind
from claude_flow.model.issue import IssueRef, Repository
from claude_flow.model.retries import RetryPolicy
from claude_flow.model.run import Reason, Run, RunState, Trigger, TriggerKind
from claude_flow.ports import AgentTask, Progress, Workspace
from claude_flow.testing.clock import FakeClock
from claude_flow.testing.daemon_process import until
from claude_flow.testing.fake_engine import FakeEngine
from claude_flow.testing.fake_execution import Complain, Edit, FakeExecution, Pause, Say, Scenario
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


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    scene.launch()
    yield scene
    scene.engine.close(grace_seconds=0)


def test_all_goes_well(scene: Scene) -> None:
    run = scene.ended(scene.submitted())
    assert run.reason is Reason.PULL_REQUEST_OPENED
    assert scene.labels == {"claude-flow:done"}
    assert run.pull_request is not None
    assert run.pull_request in scene.comment
    files = scene.workspaces.server.files(WIDGETS, "claude-flow/issue-1")
    assert files["greeting.txt"] == "Hello!\n"


def test_an_agents_words_reach_progress_and_pull_request_without_secrets(scene: Scene) -> None:
    words = '{"type": "result", "subtype": "success", "is_error": false, "result": "%s"}'
    scene.scenario = Scenario((*GREET.actions, Say(words % "I used hunter2 and greeted.")))
    run = scene.ended(scene.submitted())
    (pull,) = scene.people.pull_requests(WIDGETS)
    assert "I used *** and greeted." in pull.body
    assert run.id in scene.heard
    until(lambda: not scene.progress, "the progress of an ended run to be forgotten")


@pytest.mark.parametrize(
    "error",
    [
        GitHubUnreachableError("no answer"),
        TokenRefusedError("401"),
        RateLimitedError("429", retry_after_seconds=0.01),
    ],
)
@pytest.mark.parametrize("call", range(1, 12))
def test_passing_troubles_are_waited_out(scene: Scene, error: Exception, call: int) -> None:
    """Whichever request it is that GitHub does not answer, three times in a row."""

    def fail(_: str) -> None:
        if call <= len(scene.github.calls) < call + 3:
            raise error

    scene.github.on_call = fail
    run = scene.ended(scene.submitted())
    assert run.reason is Reason.PULL_REQUEST_OPENED
    assert len(run.attempts) == 1
    assert len(scene.github.calls) >= call + 3
    assert scene.labels == {"claude-flow:done"}
    assert len(scene.people.comments(scene.ref)) == 1
    assert len(scene.people.pull_requests(WIDGETS)) == 1


def test_a_git_server_out_of_reach_is_waited_out(scene: Scene) -> None:
    for method in ("prepare", "push", "push"):
        scene.workspaces.fail_next(method, WorkspaceUnreachableError("no route to host"))
    run = scene.ended(scene.submitted())
    assert run.reason is Reason.PULL_REQUEST_OPENED
    assert len(run.attempts) == 1


@pytest.mark.parametrize(
    "error", [PushRejectedError("protected"), RejectedError("422"), ForbiddenError("403 hunter2")]
)
def test_what_cannot_be_published_is_told_and_not_tried_again(
    scene: Scene, error: Exception
) -> None:
    scene.workspaces.fail_next("push", error)
    run = scene.ended(scene.submitted())
    assert (run.reason, len(run.attempts)) == (Reason.PUBLISH_REJECTED, 1)
    assert scene.labels == {"claude-flow:failed"}
    assert "could not be published" in scene.comment
    assert "hunter2" not in scene.comment


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (
            ChangeLimits(forbidden_paths=("*.txt",)),
            "'greeting.txt', which workflow.forbidden_paths",
        ),
        (ChangeLimits(max_lines=0), "1 lines; workflow.max_changed_lines allows 0"),
    ],
)
def test_a_change_beyond_the_limits_is_told_and_never_leaves(
    scene: Scene, limits: ChangeLimits, told: str
) -> None:
    scene.limits = limits
    run = scene.ended(scene.submitted())
    assert (run.reason, len(run.attempts)) == (Reason.PUBLISH_REJECTED, 1)
    assert run.detail is not None
    assert told in run.detail
    assert told in scene.comment
    assert list(scene.workspaces.server.branches[WIDGETS]) == ["main"]
    assert scene.people.pull_requests(WIDGETS) == []


def test_an_attempt_that_was_cut_short_is_gone_on_with(scene: Scene) -> None:
    numbers = replace(OPERATOR.numbers, stall_timeout_seconds=0.2)
    scene.operator = replace(OPERATOR, numbers=numbers)
    begins = '{"type": "system", "subtype": "init", "session_id": "5e55"}'
    scene.first = Scenario((Say(begins), Edit("first.txt", "1"), Pause()))
    scene.scenario = Scenario((Edit("second.txt", "2"),))

    run = scene.ended(scene.submitted())

    assert [attempt.reason for attempt in run.attempts] == [
        Reason.STALLED,
        Reason.PULL_REQUEST_OPENED,
    ]
    first, second = scene.execution.tasks
    assert "What it changed is still here" not in first.prompt
    assert "What it changed is still here" in second.prompt
    assert first.resume is None
    assert second.resume is not None
    assert (second.resume.id, second.resume.scratch) == ("5e55", first.scratch)
    assert "claude_flow.stall_timeout_seconds" in second.resume.prompt
    assert "# Greet" not in second.resume.prompt, "the session knows the issue"
    files = scene.workspaces.server.files(WIDGETS, "claude-flow/issue-1")
    assert {"first.txt", "second.txt"} <= set(files)


def test_an_attempt_that_failed_by_itself_is_begun_anew(scene: Scene) -> None:
    scene.first = Scenario((Edit("broken.txt", "1"),), exit_code=1)

    run = scene.ended(scene.submitted())

    assert run.reason is Reason.PULL_REQUEST_OPENED
    files = scene.workspaces.server.files(WIDGETS, "claude-flow/issue-1")
    assert "broken.txt" not in files
    assert scene.execution.tasks[1].resume is None


def test_only_a_failed_runs_workspace_is_kept(scene: Scene) -> None:
    succeeded = scene.ended(scene.submitted())
    assert not (scene.root / "workspaces" / succeeded.id).exists()

    scene.ref = scene.people.open_issue(WIDGETS, "Fail", "Please.", "maria")
    scene.scenario = Scenario((Edit("half.txt", "half done"),), exit_code=1)
    failed = scene.ended(scene.submitted())

    assert failed.state is RunState.FAILED
    left = scene.root / "workspaces" / failed.id / "half.txt"
    assert left.read_text() == "half done"


def test_a_broken_workspace_is_tried_again(scene: Scene) -> None:
    scene.workspaces.fail_next("prepare", WorkspaceError("no space left on device"))
    run = scene.ended(scene.submitted())
    assert run.reason is Reason.PULL_REQUEST_OPENED
    assert [attempt.reason for attempt in run.attempts] == [
        Reason.AGENT_FAILED,
        Reason.PULL_REQUEST_OPENED,
    ]
    assert run.attempts[0].exit_code is None


def test_work_that_was_done_on_a_lost_host_is_done_again(scene: Scene) -> None:
    """Its workspace is not there where the run was taken over and would be published."""
    scene.workspaces.fail_next("collect", WorkspaceGoneError("the workspace is gone"))
    run = scene.ended(scene.submitted())
    assert [attempt.reason for attempt in run.attempts] == [
        Reason.AGENT_FAILED,
        Reason.PULL_REQUEST_OPENED,
    ]


def test_an_agents_last_words_are_told(scene: Scene) -> None:
    scene.scenario = Scenario((Complain("cannot find hunter2 anywhere\n"),), exit_code=3)
    run = scene.ended(scene.submitted())
    assert run.reason is Reason.ATTEMPTS_EXHAUSTED
    assert [attempt.exit_code for attempt in run.attempts] == [3, 3]
    assert "cannot find *** anywhere" in scene.comment


def test_a_label_that_cannot_be_changed_ends_no_run(scene: Scene) -> None:
    def refuse(name: str) -> None:
        if name.endswith("_label"):
            raise ForbiddenError("labels are not for you")

    scene.github.on_call = refuse
    run = scene.ended(scene.submitted())
    assert run.reason is Reason.PULL_REQUEST_OPENED
    assert "A pull request is open" in scene.comment


def test_an_issue_that_is_gone_ends_its_run(scene: Scene) -> None:
    scene.ref = IssueRef(WIDGETS, 99)
    run = scene.ended(scene.submitted())
    assert (run.state, run.reason) == (RunState.CANCELLED, Reason.ISSUE_CLOSED)


def while_it_works(scene: Scene, do: Callable[[Run], object]) -> Run:
    scene.scenario = Scenario((Pause(),))
    run = scene.submitted()
    until(lambda: scene.execution.running, "the agent", 30)
    do(run)
    return scene.ended(run)


def test_a_label_put_back_during_the_work_stays_for_the_next_run(scene: Scene) -> None:
    scene.github.on_call = lambda name: (
        scene.people.label_issue(scene.ref, LABEL, "maria") if name == "open_pull_request" else None
    )
    run = scene.ended(scene.submitted())
    assert run.reason is Reason.PULL_REQUEST_OPENED
    assert scene.labels == {"claude-flow:done", LABEL}


def test_a_cancelled_run_ends_its_agent_and_publishes_nothing(scene: Scene) -> None:
    run = while_it_works(scene, lambda run: scene.engine.cancel(run.id))
    assert (run.state, run.reason) == (RunState.CANCELLED, Reason.CANCELLED_BY_USER)
    assert scene.execution.running == set()
    assert scene.labels == {"claude-flow:failed"}
    assert "The run was cancelled." in scene.comment
    assert scene.people.pull_requests(WIDGETS) == []


def test_an_attempt_cut_short_by_the_daemon_is_resumed_as_the_same(scene: Scene) -> None:
    scene.scenario = Scenario((Pause(),))
    run = scene.submitted()
    until(lambda: scene.execution.running, "the agent", 30)
    scene.engine.close(grace_seconds=0)
    unfinished = scene.engine.get(run.id)
    assert unfinished is not None
    assert unfinished.state is RunState.RUNNING
    assert scene.labels == {"claude-flow:running"}

    scene.scenario = GREET
    scene.launch()
    resumed = scene.ended(run)
    assert (resumed.reason, resumed.attempt) == (Reason.PULL_REQUEST_OPENED, 1)
    assert len(scene.people.comments(scene.ref)) == 1


def result(*, cost_usd: float, is_error: bool = False) -> Say:
    subtype = "error_during_execution" if is_error else "success"
    event = {"type": "result", "subtype": subtype, "is_error": is_error, "total_cost_usd": cost_usd}
    return Say(json.dumps(event))


def test_a_spent_run_budget_lets_no_further_attempt_begin(scene: Scene) -> None:
    scene.budgets = Budgets(run_usd=1.0)
    scene.scenario = Scenario((result(cost_usd=1.25, is_error=True),), 1)
    run = scene.ended(scene.submitted())
    assert run.reason is Reason.BUDGET_EXCEEDED
    assert len(scene.execution.tasks) == 1
    assert "claude_flow.run_budget_usd of 1.00 USD is used up (1.25 USD spent)" in scene.comment
    assert scene.labels == {"claude-flow:failed"}


def test_a_spent_daily_budget_refuses_a_run_that_no_poller_held(scene: Scene) -> None:
    scene.budgets = Budgets(daily_usd=1.0)
    scene.scenario = Scenario((*GREET.actions, result(cost_usd=1.25)))
    first = scene.ended(scene.submitted())
    assert first.reason is Reason.PULL_REQUEST_OPENED
    again = Run.queued(scene.ref, Trigger(TriggerKind.CLI, "again"), scene.clock())
    assert scene.engine.submit(again)
    run = scene.ended(again)
    assert (run.reason, run.state) == (Reason.BUDGET_EXCEEDED, RunState.FAILED)
    assert "claude_flow.daily_budget_usd" in (run.detail or "")
    assert "it resets at" in scene.comment


def test_the_failure_that_stops_the_repository_says_so_on_its_issue(scene: Scene) -> None:
    scene.breaker = BreakerPolicy(failures=2, pause_seconds=600)
    scene.scenario = Scenario((Complain("no luck\n"),), 1)
    scene.ended(scene.submitted())
    assert "in a row" not in scene.comment
    again = Run.queued(scene.ref, Trigger(TriggerKind.CLI, "again"), scene.clock())
    assert scene.engine.submit(again)
    run = scene.ended(again)
    assert "2 runs in a row have failed here as agent failed" in scene.comment
    assert "no luck" in (run.detail or "")
    assert "in a row" in (run.detail or "")

    scene.people.close_issue(scene.ref)
    closed = Run.queued(scene.ref, Trigger(TriggerKind.CLI, "closed"), scene.clock())
    assert scene.engine.submit(closed)
    assert scene.ended(closed).reason is Reason.ISSUE_CLOSED
    assert "in a row" not in scene.comment


def refused_by_the_model(status: int, words: str = "no") -> Scenario:
    event = {
        "type": "result",
        "subtype": "success",
        "is_error": True,
        "api_error_status": status,
        "result": words,
    }
    return Scenario((Say(json.dumps(event)),), 1)


def waiting(scene: Scene, run: Run) -> Run:
    """The run once its first attempt has ended and the second is asked for."""

    def asked() -> Run | None:
        found = scene.engine.get(run.id)
        return found if found and scene.engine.latest_attempt(run.id) == 2 else None

    found = until(asked, lambda: f"a second attempt of {scene.engine.get(run.id)}", 30)
    assert found is not None
    return found


def test_a_usage_limit_is_waited_for_and_told(scene: Scene) -> None:
    scene.retries = RetryPolicy(1, 0.01, 0.01, model_wait_seconds=7200)
    resets_at = int(scene.clock().timestamp()) + 3600
    scene.scenario = refused_by_the_model(429, f"Claude AI usage limit reached|{resets_at}")
    run = waiting(scene, scene.submitted())
    assert run.state is RunState.QUEUED
    assert run.attempts[0].failure is FailureKind.USAGE_LIMIT
    assert "The run waits for the model's usage limit until" in (run.detail or "")
    assert "waits for the model's usage limit until" in scene.comment
    assert "claude-flow:running" in scene.labels
    assert scene.engine.cancel(run.id)


def test_a_limit_longer_than_a_run_waits_ends_it(scene: Scene) -> None:
    scene.retries = RetryPolicy(3, 0.01, 0.01, model_wait_seconds=60)
    resets_at = int(scene.clock().timestamp()) + 3600
    scene.scenario = refused_by_the_model(429, f"Claude AI usage limit reached|{resets_at}")
    run = scene.ended(scene.submitted())
    assert (run.reason, len(run.attempts)) == (Reason.AGENT_FAILED, 1)
    assert "claude_flow.model_wait_seconds" in scene.comment


@pytest.mark.parametrize("status", [400, 401, 403])
def test_what_the_model_refuses_for_good_is_not_tried_again(scene: Scene, status: int) -> None:
    scene.scenario = refused_by_the_model(status)
    run = scene.ended(scene.submitted())
    assert (run.reason, len(run.attempts)) == (Reason.AGENT_FAILED, 1)
    assert str(status) in scene.comment
