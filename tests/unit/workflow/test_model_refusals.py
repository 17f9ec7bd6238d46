"""What the model refuses: waited for where it passes, else the end."""

from __future__ import annotations

import json

import pytest

from claude_flow.model.failures import FailureKind
from claude_flow.model.retries import RetryPolicy
from claude_flow.model.run import Reason, Run, RunState
from claude_flow.testing.daemon_process import until
from claude_flow.testing.fake_execution import Say, Scenario
from tests.unit.workflow.attempt_scene import Scene


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
