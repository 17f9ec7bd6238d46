"""Hooks around an attempt, and what follows when one fails."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace

import pytest

from claude_flow.errors import EngineError, LeaseLostError
from claude_flow.model.retries import RetryPolicy
from claude_flow.model.run import Reason, RunState
from claude_flow.ports import AgentTask
from claude_flow.testing.daemon_process import until
from claude_flow.testing.fake_execution import Edit, Pause, Say, Scenario
from claude_flow.workflow_file import Hooks
from tests.unit.workflow.attempt_scene import GREET, OPERATOR, WIDGETS, Scene

ALL = Hooks(after_create="create", before_run="begin", after_run="end", before_remove="clear")
PARTS = ["hook-after-create", "hook-before-run", "agent", "hook-after-run", "hook-before-remove"]
FAILS = Scenario((Say("trying"), Say("no such database")), exit_code=3)


def play(scene: Scene, scenarios: Mapping[str, Scenario]) -> None:
    def played(task: AgentTask) -> Scenario:
        return scenarios.get(task.part, GREET if task.part == "agent" else Scenario())

    scene.retries = RetryPolicy(1, 0.01, 0.01)
    scene.operator = replace(OPERATOR, hooks=ALL, numbers=replace(OPERATOR.numbers, max_attempts=1))
    scene.play = played


def parts(scene: Scene) -> list[str]:
    return [task.part for task in scene.execution.tasks]


def test_each_runs_in_its_turn(scene: Scene) -> None:
    play(scene, {})
    assert scene.ended(scene.submitted()).reason is Reason.PULL_REQUEST_OPENED
    assert parts(scene) == PARTS
    said = [command.argv[-1].removeprefix("exec 2>&1\n") for command in scene.execution.commands]
    assert [said[0], said[1], said[3], said[4]] == ["create", "begin", "end", "clear"]


@pytest.mark.parametrize(("name", "ran"), [("after_create", 1), ("before_run", 2)])
def test_one_before_the_agent_that_fails_ends_the_attempt(
    scene: Scene, name: str, ran: int
) -> None:
    play(scene, {f"hook-{name.replace('_', '-')}": FAILS})
    run = scene.ended(scene.submitted())
    assert run.reason is Reason.ATTEMPTS_EXHAUSTED
    assert f"hook {name} failed with exit code 3: no such database" in (run.detail or "")
    assert parts(scene) == PARTS[:ran]


def test_one_after_the_agent_that_fails_changes_nothing(scene: Scene) -> None:
    play(scene, {"hook-after-run": FAILS, "hook-before-remove": FAILS})
    assert scene.ended(scene.submitted()).reason is Reason.PULL_REQUEST_OPENED
    assert parts(scene) == PARTS


def test_after_run_follows_an_agent_that_failed_and_its_workspace_stays(scene: Scene) -> None:
    play(scene, {"agent": Scenario((), exit_code=3)})
    scene.ended(scene.submitted())
    assert parts(scene) == PARTS[:4]


def test_a_cancelled_attempt_has_its_hooks_however_often_it_is_asked(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    play(scene, {"agent": Scenario((Pause(),)), "hook-after-run": Scenario((Pause(0.5),))})
    run = scene.submitted()
    until(lambda: "agent" in parts(scene), lambda: f"the agent in {parts(scene)}", 30)
    assert scene.engine.cancel(run.id)
    until(lambda: "hook-after-run" in parts(scene), lambda: f"the hook in {parts(scene)}", 30)
    assert scene.engine.cancel(run.id)
    assert scene.ended(run).reason is Reason.CANCELLED_BY_USER
    assert parts(scene) == PARTS
    assert "hook-after-run of attempt 1 is done" in caplog.messages
    assert not scene.execution.tasks[0].workspace.exists()


def test_one_cancelled_before_its_agent_has_no_hook_after_it(scene: Scene) -> None:
    play(scene, {"hook-before-run": Scenario((Pause(),))})
    run = scene.submitted()
    until(lambda: "hook-before-run" in parts(scene), lambda: f"the hook in {parts(scene)}", 30)
    assert scene.engine.cancel(run.id)
    scene.ended(run)
    assert parts(scene) == [*PARTS[:2], "hook-before-remove"]


def test_what_is_cut_short_by_the_daemons_end_has_none(scene: Scene) -> None:
    play(scene, {"agent": Scenario((Pause(),))})
    scene.submitted()
    until(lambda: "agent" in parts(scene), lambda: f"the agent in {parts(scene)}", 30)
    scene.engine.close(grace_seconds=0)
    assert parts(scene) == PARTS[:3]


def test_what_is_cut_short_for_want_of_the_hosts_lease_has_none(scene: Scene) -> None:
    play(scene, {})
    played = scene.play

    def lose(task: AgentTask) -> Scenario:
        if task.part == "agent":
            raise LeaseLostError("another host may have it")
        return played(task)

    scene.play = lose
    run = scene.submitted()
    until(lambda: is_fatal(scene), "the daemon's end", 30)
    assert parts(scene) == PARTS[:3]
    found = scene.engine.get(run.id)
    assert found is not None
    assert (found.state, found.attempts[-1].reason) == (RunState.RUNNING, None)


def is_fatal(scene: Scene) -> bool:
    try:
        scene.engine.check()
    except EngineError:
        return True
    return False


def test_a_time_out_has_the_one_after_it(scene: Scene) -> None:
    play(scene, {"agent": Scenario((Pause(),))})
    numbers = replace(OPERATOR.numbers, max_attempts=1, timeout_seconds=0.2)
    scene.operator = replace(scene.operator, numbers=numbers)
    run = scene.ended(scene.submitted())
    assert run.attempts[0].reason is Reason.TIMED_OUT
    assert parts(scene) == PARTS[:4]


def test_a_closed_issue_has_them_all(scene: Scene) -> None:
    play(scene, {"hook-after-run": Scenario((Pause(0.5),))})
    run = scene.submitted()
    until(lambda: "hook-after-run" in parts(scene), lambda: f"the hook in {parts(scene)}", 30)
    scene.people.close_issue(scene.ref)
    assert scene.ended(run).reason is Reason.ISSUE_CLOSED
    assert parts(scene) == PARTS


def test_a_workspace_that_is_made_anew_has_its_hook_first(scene: Scene) -> None:
    play(scene, {})
    tries = {1: Scenario((Edit("half.txt", "1"),), exit_code=3), 2: GREET}
    scene.play = lambda task: tries[task.attempt] if task.part == "agent" else Scenario()
    scene.retries = RetryPolicy(2, 0.01, 0.01)
    scene.operator = replace(scene.operator, numbers=OPERATOR.numbers)
    assert scene.ended(scene.submitted()).reason is Reason.PULL_REQUEST_OPENED
    assert parts(scene) == [*PARTS[:4], "hook-before-remove-old", *PARTS]


def test_a_repositorys_file_may_say_what_to_run(scene: Scene) -> None:
    text = "---\nhooks:\n  before_run: |\n    echo one\n    echo two\n---\n"
    scene.workspaces.server.seed(WIDGETS, {OPERATOR.path: text})
    scene.ended(scene.submitted())
    assert parts(scene) == ["hook-before-run", "agent"]
    assert scene.execution.commands[0].argv[-1] == "exec 2>&1\necho one\necho two\n"


@pytest.mark.parametrize("part", PARTS[:3])
def test_an_attempt_whose_workspace_was_lost_is_ended_and_judged(scene: Scene, part: str) -> None:
    play(scene, {"hook-before-run": Scenario((Pause(),))})
    run = scene.submitted()
    until(lambda: "hook-before-run" in parts(scene), lambda: f"the hook in {parts(scene)}", 30)
    scene.engine.close(grace_seconds=0)

    scene.execution.begun.add((run.id, 1, part))
    shutil.rmtree(scene.execution.tasks[0].workspace)
    play(scene, {})
    scene.operator = replace(scene.operator, numbers=OPERATOR.numbers)
    scene.launch()
    ended = scene.ended(run)
    assert scene.execution.begun == set()
    assert [one.reason for one in ended.attempts] == [
        Reason.AGENT_FAILED,
        Reason.PULL_REQUEST_OPENED,
    ]


def test_a_lost_workspace_is_told_on_the_issue(scene: Scene) -> None:
    play(scene, {"hook-before-run": Scenario((Pause(),))})
    run = scene.submitted()
    until(lambda: "hook-before-run" in parts(scene), lambda: f"the hook in {parts(scene)}", 30)
    scene.engine.close(grace_seconds=0)
    scene.execution.begun.add((run.id, 1, "agent"))
    shutil.rmtree(scene.execution.tasks[0].workspace)
    scene.launch()
    assert scene.ended(run).reason is Reason.ATTEMPTS_EXHAUSTED
    assert "is gone, so what worked in it was ended" in scene.comment


@pytest.mark.parametrize("part", PARTS[:3])
def test_what_an_earlier_daemon_began_keeps_its_workspace(scene: Scene, part: str) -> None:
    play(scene, {"hook-before-run": Scenario((Pause(),))})
    run = scene.submitted()
    until(lambda: "hook-before-run" in parts(scene), lambda: f"the hook in {parts(scene)}", 30)
    (scene.execution.tasks[0].workspace / "of-the-hook.txt").write_text("made\n")
    scene.engine.close(grace_seconds=0)

    scene.execution.begun.add((run.id, 1, part))
    play(scene, {})
    scene.launch()
    scene.ended(run)
    (pull,) = scene.people.pull_requests(WIDGETS)
    assert "of-the-hook.txt" in scene.workspaces.server.files(WIDGETS, pull.head)
