"""Budgets: handed to the agent, its end where it goes on without any left, and no new beginning."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from claude_flow.model.budgets import Budgets
from claude_flow.model.failures import FailureKind
from claude_flow.model.run import Reason, Run, RunState, Trigger, TriggerKind
from claude_flow.ports import AgentTask
from claude_flow.testing.fake_execution import Action, Edit, Pause, Say, Scenario
from claude_flow.workflow_file import Verify
from tests.unit.workflow.attempt_scene import GREET, OPERATOR, Scene

SPEAKS = Say(
    json.dumps({"type": "assistant", "message": {"content": [{"type": "text", "text": "x"}]}})
)


def result(cost_usd: float, *, is_error: bool = False) -> Say:
    subtype = "error_during_execution" if is_error else "success"
    event = {"type": "result", "subtype": subtype, "is_error": is_error, "total_cost_usd": cost_usd}
    return Say(json.dumps(event))


def worked(scene: Scene, *actions: Action) -> Run:
    scene.scenario = Scenario((Edit("greeting.txt", "Hello!\n"), *actions))
    return scene.ended(scene.submitted())


@pytest.mark.parametrize(
    ("budgets", "attempt_usd", "names"),
    [
        (Budgets(), 2.0, "claude_flow.budget_usd of 2.00 USD is used up (2.50 USD spent)"),
        (Budgets(run_usd=2.0), None, "claude_flow.run_budget_usd of 2.00 USD"),
        (Budgets(daily_usd=2.0), 9.0, "claude_flow.daily_budget_usd of 2.00 USD"),
        (
            Budgets(repository_daily_usd=2.0, run_usd=2.4),
            2.2,
            "claude_flow.repository_daily_budget_usd of 2.00 USD",
        ),
    ],
)
def test_an_agent_that_goes_on_without_money_is_stopped(
    scene: Scene, budgets: Budgets, attempt_usd: float | None, names: str
) -> None:
    scene.budgets = budgets
    scene.operator = replace(OPERATOR, numbers=replace(OPERATOR.numbers, budget_usd=attempt_usd))
    run = worked(scene, SPEAKS, result(1.0), SPEAKS, result(2.5), SPEAKS, Pause())
    assert run.reason is Reason.BUDGET_EXCEEDED
    (attempt,) = run.attempts
    assert (attempt.failure, attempt.usage.cost_usd) == (FailureKind.BUDGET, 2.5)
    assert f"the agent was stopped: the budget {names}" in (run.detail or "")
    assert names in scene.comment
    assert [one.kind for one in scene.execution.events][-1] == "result"


def test_work_that_is_done_stays_done_whatever_it_cost(scene: Scene) -> None:
    scene.budgets = Budgets(run_usd=2.0)
    run = worked(scene, SPEAKS, result(2.5), Say("bye"))
    assert run.reason is Reason.PULL_REQUEST_OPENED


def test_without_budgets_nothing_is_stopped(scene: Scene) -> None:
    run = worked(scene, SPEAKS, result(1e6), SPEAKS, result(2e6))
    assert run.reason is Reason.PULL_REQUEST_OPENED
    assert [numbers.budget_usd for numbers in scene.numbers] == [None]


@pytest.mark.parametrize(
    ("attempt_usd", "handed"), [(None, 3.0), (5.0, 3.0), (1.5, 1.5)], ids=["none", "more", "less"]
)
def test_the_agent_is_told_what_is_left_of_the_tightest(
    scene: Scene, attempt_usd: float | None, handed: float
) -> None:
    scene.budgets = Budgets(run_usd=8.0, daily_usd=4.0)
    scene.operator = replace(OPERATOR, numbers=replace(OPERATOR.numbers, budget_usd=attempt_usd))
    worked(scene, SPEAKS, result(1.0))
    again = Run.queued(scene.ref, Trigger(TriggerKind.CLI, "again"), scene.clock())
    assert scene.engine.submit(again)
    scene.ended(again)
    assert scene.numbers[-1].budget_usd == handed


def test_later_rounds_get_what_earlier_ones_left(scene: Scene) -> None:
    scene.budgets = Budgets(run_usd=4.0)
    scene.operator = replace(OPERATOR, verify=Verify(commands=("make test",), rounds=1))

    def played(task: AgentTask) -> Scenario:
        if task.part == "verify-1-1":
            return Scenario((), exit_code=1)
        return Scenario((Edit("greeting.txt", f"{task.part}\n"), SPEAKS, result(1.5)))

    scene.play = played
    run = scene.ended(scene.submitted())
    assert run.usage.cost_usd == 3.0
    assert [numbers.budget_usd for numbers in scene.numbers] == [4.0, 2.5]


@pytest.mark.parametrize("is_begun", [False, True])
def test_no_further_round_begins_without_money_but_one_that_was_begun_is_taken_over(
    scene: Scene, *, is_begun: bool
) -> None:
    scene.budgets = Budgets(run_usd=1.5)
    scene.operator = replace(OPERATOR, verify=Verify(commands=("make test",), rounds=1))
    fails = {"verify-1-1", "verify-2-1"}

    def played(task: AgentTask) -> Scenario:
        if task.part in fails:
            return Scenario((), exit_code=1)
        return Scenario((Edit("greeting.txt", f"{task.part}\n"), SPEAKS, result(1.5)))

    scene.play = played
    run = scene.submitted()
    if is_begun:
        scene.execution.begun.add((run.id, 1, "agent-2"))
    run = scene.ended(run)
    assert run.reason is Reason.PULL_REQUEST_OPENED
    (pull,) = scene.people.pull_requests(scene.ref.repository)
    assert pull.is_draft
    assert "`make test` failed" in pull.body
    assert ("agent-2" in [task.part for task in scene.execution.tasks]) == is_begun


def test_a_bound_that_the_agent_kept_by_itself_is_told_by_its_name(scene: Scene) -> None:
    scene.budgets = Budgets(daily_usd=2.0)
    event = {"type": "result", "subtype": "error_max_budget_usd", "is_error": True}
    run = worked(scene, Say(json.dumps(event)))
    assert run.reason is Reason.BUDGET_EXCEEDED
    assert "what was left of the budget claude_flow.daily_budget_usd: 2.00 of 2.00 USD" in (
        run.detail or ""
    )


def test_a_spent_run_budget_lets_no_further_attempt_begin(scene: Scene) -> None:
    scene.budgets = Budgets(run_usd=1.0)
    scene.scenario = Scenario((result(1.25, is_error=True),), 1)
    run = scene.ended(scene.submitted())
    assert run.reason is Reason.BUDGET_EXCEEDED
    assert len(scene.execution.tasks) == 1
    assert "claude_flow.run_budget_usd of 1.00 USD is used up (1.25 USD spent)" in scene.comment
    assert scene.labels == {"claude-flow:failed"}


def test_a_spent_daily_budget_refuses_a_run_that_no_poller_held(scene: Scene) -> None:
    scene.budgets = Budgets(daily_usd=1.0)
    scene.scenario = Scenario((*GREET.actions, result(1.25)))
    first = scene.ended(scene.submitted())
    assert first.reason is Reason.PULL_REQUEST_OPENED
    again = Run.queued(scene.ref, Trigger(TriggerKind.CLI, "again"), scene.clock())
    assert scene.engine.submit(again)
    run = scene.ended(again)
    assert (run.reason, run.state) == (Reason.BUDGET_EXCEEDED, RunState.FAILED)
    assert "claude_flow.daily_budget_usd" in (run.detail or "")
    assert "it resets at" in scene.comment
