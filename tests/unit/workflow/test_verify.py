"""The gate before a pull request: rounds, then a draft that says what fails, or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from claude_flow.model.failures import FailureKind
from claude_flow.model.run import Reason
from claude_flow.ports import AgentTask
from claude_flow.testing.fake_execution import Edit, Pause, RunOutOfMemory, Say, Scenario
from claude_flow.workflow_file import OnFailure, Verify
from tests.unit.workflow.attempt_scene import OPERATOR, WIDGETS, Scene

FAILS = Scenario((Say("2 tests failed, hunter2"), Say("@maria fixes #3 ```")), exit_code=3)
BEGINS = Say('{"type": "system", "subtype": "init", "session_id": "s-1"}')
RESULT = Say('{"type": "result", "subtype": "success", "is_error": false, "num_turns": 2}')
PASSES = Scenario((Say("all fine"),))


def play(scene: Scene, scenarios: Mapping[str, Scenario]) -> None:
    """Let parts of the attempt go as told; the agent's later rounds change something else."""

    def played(task: AgentTask) -> Scenario:
        again = Scenario((Edit("greeting.txt", f"Hello from {task.part}!\n"),))
        return scenarios.get(task.part, again)

    scene.play = played


def verify(scene: Scene, *commands: str, **named: object) -> None:
    made = replace(Verify(commands=commands, timeout_seconds=30), **named)  # type: ignore[arg-type] # any field
    scene.operator = replace(OPERATOR, verify=made)


def parts(scene: Scene) -> list[str]:
    return [task.part for task in scene.execution.tasks]


def test_checks_that_pass_let_a_change_through(scene: Scene) -> None:
    verify(scene, "make test", "make lint")
    play(scene, {"verify-1-1": PASSES, "verify-1-2": PASSES})
    run = scene.ended(scene.submitted())
    assert run.reason is Reason.PULL_REQUEST_OPENED
    assert parts(scene) == ["agent", "verify-1-1", "verify-1-2"]
    (pull,) = scene.people.pull_requests(WIDGETS)
    assert "fail" not in pull.body


def test_what_fails_goes_back_to_the_agent(scene: Scene) -> None:
    verify(scene, "make test")
    agent = Scenario((BEGINS, Edit("greeting.txt", "Helo\n"), RESULT))
    play(scene, {"agent": agent, "agent-2": agent, "verify-1-1": FAILS, "verify-2-1": PASSES})
    run = scene.ended(scene.submitted())
    assert run.reason is Reason.PULL_REQUEST_OPENED
    assert parts(scene) == ["agent", "verify-1-1", "agent-2", "verify-2-1"]
    first, _, second, _ = scene.execution.tasks
    assert "2 tests failed" not in first.prompt
    assert "`make test` failed with exit code 3:\n\n````\n2 tests failed, ***\n" in second.prompt
    assert "# Greet" in second.prompt
    assert second.resume is not None
    assert (second.resume.id, second.resume.scratch) == ("s-1", first.scratch)
    assert "2 tests failed" in second.resume.prompt
    assert "# Greet" not in second.resume.prompt, "the session knows the issue"
    assert run.usage.turns == 4
    (pull,) = scene.people.pull_requests(WIDGETS)
    assert "tests failed" not in pull.body


@pytest.mark.parametrize(
    ("template", "is_told_as_it_says"),
    [
        ("Do {{ issue.title }}.{% if feedback %} Mend {{ feedback }}{% endif %}", True),
        ("Do.", False),
    ],
)
def test_a_session_is_told_what_failed_as_the_repository_says(
    scene: Scene, template: str, *, is_told_as_it_says: bool
) -> None:
    scene.workspaces.server.seed(WIDGETS, {OPERATOR.path: template})
    verify(scene, "make test")
    agent = Scenario((BEGINS, Edit("greeting.txt", "Helo\n"), RESULT))
    play(scene, {"agent": agent, "agent-2": agent, "verify-1-1": FAILS, "verify-2-1": PASSES})
    assert scene.ended(scene.submitted()).reason is Reason.PULL_REQUEST_OPENED
    first, _, second, _ = scene.execution.tasks
    assert first.prompt.startswith("Do")
    assert second.resume is not None
    assert "2 tests failed" in second.resume.prompt
    assert second.resume.prompt.startswith("Do Greet. Mend ") is is_told_as_it_says
    assert ("do not weaken the checks" in second.resume.prompt) is not is_told_as_it_says


def test_after_all_rounds_a_draft_says_what_fails(scene: Scene) -> None:
    verify(scene, "make test", "make lint", rounds=1)
    failing = {f"verify-{number}-1": FAILS for number in (1, 2)}
    play(scene, {**failing, "verify-1-2": PASSES, "verify-2-2": PASSES})
    run = scene.ended(scene.submitted())
    assert (run.reason, run.attempt) == (Reason.PULL_REQUEST_OPENED, 1)
    assert "Checks of the repository fail" in (run.detail or "")
    (pull,) = scene.people.pull_requests(WIDGETS)
    assert pull.is_draft
    assert "`make test` failed with exit code 3:" in pull.body
    assert "2 tests failed, ***" in pull.body
    assert "@maria" not in pull.body
    assert "make lint" not in pull.body


def test_or_no_pull_request_and_no_other_attempt(scene: Scene) -> None:
    verify(scene, "make test", rounds=0, on_failure=OnFailure.NONE)
    play(scene, {"verify-1-1": FAILS})
    run = scene.ended(scene.submitted())
    assert (run.reason, run.attempt) == (Reason.AGENT_FAILED, 1)
    assert run.attempts[0].failure is FailureKind.VERIFY
    assert scene.people.pull_requests(WIDGETS) == []
    assert "the repository's checks do not pass" in scene.comment
    assert "`make test` failed with exit code 3" in scene.comment


def test_a_check_that_takes_too_long_fails(scene: Scene) -> None:
    verify(scene, "sleep 1000", rounds=0, timeout_seconds=0.2)
    play(scene, {"verify-1-1": Scenario((Pause(),))})
    scene.ended(scene.submitted())
    (pull,) = scene.people.pull_requests(WIDGETS)
    assert "`sleep 1000` was ended: it took longer than 0.2 s" in pull.body


def test_a_check_that_takes_too_much_memory_fails(scene: Scene) -> None:
    verify(scene, "make test", rounds=0)
    play(scene, {"verify-1-1": Scenario((RunOutOfMemory(),))})
    scene.ended(scene.submitted())
    (pull,) = scene.people.pull_requests(WIDGETS)
    assert "`make test` was killed: it needed more memory" in pull.body
    assert "execution.memory_max_bytes" in pull.body


def test_an_agent_that_failed_is_not_checked(scene: Scene) -> None:
    verify(scene, "make test")
    scene.operator = replace(scene.operator, numbers=replace(OPERATOR.numbers, max_attempts=1))
    play(scene, {"agent": Scenario((), exit_code=3)})
    scene.ended(scene.submitted())
    assert parts(scene) == ["agent"]


def test_commands_get_no_secret(scene: Scene) -> None:
    verify(scene, "make test")
    play(scene, {"verify-1-1": PASSES})
    scene.ended(scene.submitted())
    _, command = scene.execution.commands
    assert command.argv == ("/bin/sh", "-e", "-c", "exec 2>&1\nmake test")
    assert command.environment["CLAUDE_FLOW_WORKSPACE"]
    assert "ANTHROPIC_API_KEY" not in command.environment
    assert command.environment["LANG"] == "C"


def test_a_repositorys_file_may_say_what_to_check(scene: Scene) -> None:
    text = "---\nverify:\n  commands: [make check]\n  rounds: 0\n---\n"
    scene.workspaces.server.seed(WIDGETS, {OPERATOR.path: text})
    play(scene, {"verify-1-1": FAILS})
    scene.ended(scene.submitted())
    (pull,) = scene.people.pull_requests(WIDGETS)
    assert "`make check` failed" in pull.body
