"""An attempt among fakes: troubles of GitHub's, cancels, and what the issue is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

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
from claude_flow.model.breaker import BreakerPolicy
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Reason, Run, RunState, Trigger, TriggerKind
from claude_flow.testing.daemon_process import until
from claude_flow.testing.fake_execution import Complain, Edit, Pause, Say, Scenario
from claude_flow.workflow.change_limits import ChangeLimits
from tests.unit.workflow.attempt_scene import GREET, LABEL, OPERATOR, WIDGETS, Scene


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
