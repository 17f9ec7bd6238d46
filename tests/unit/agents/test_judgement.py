import json
from datetime import UTC, datetime
from typing import Any

import pytest

from claude_flow.agents.judgement import JudgedOutput, Rules
from claude_flow.agents.secrets import secret_values
from claude_flow.journal import Redactor
from claude_flow.model.failures import FailureKind, ModelFailure
from claude_flow.model.run import Reason, Usage
from claude_flow.ports import ProcessEnded, Stop

CLAUDE = Rules("claude", trusts_exit_code=True, needs_result=True)
CLAUDE_FLOW = Rules("claude-flow", trusts_exit_code=False, needs_result=True)
COMMAND = Rules("the command", trusts_exit_code=True, needs_result=False)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "a-key-of-no-known-shape"

FINE: dict[str, Any] = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "Did it.",
    "num_turns": 2,
    "total_cost_usd": 0.5,
    "usage": {"input_tokens": 10, "output_tokens": 5},
    "permission_denials": [],
}
DENIED = FINE | {"permission_denials": [{"tool_name": "Bash", "tool_input": {}}]}
API_ERROR = FINE | {"is_error": True, "api_error_status": 403, "result": "Forbidden\nfor you"}
BUDGET = {"type": "result", "subtype": "error_max_budget_usd", "is_error": True}
TURNS = {"type": "result", "subtype": "error_max_turns", "is_error": True}
BROKEN = {"type": "result", "subtype": "error_during_execution", "is_error": True}
UNCLEAR = {"type": "result", "subtype": "success"}


def ended(exit_code: int = 0, stopped: Stop | None = None, stderr: str = "") -> ProcessEnded:
    return ProcessEnded(exit_code, stopped, NOW, NOW, stderr)


def output(rules: Rules, *events: dict[str, Any]) -> JudgedOutput:
    judged = JudgedOutput(rules, Redactor(secret_values({"ANTHROPIC_API_KEY": KEY})).redact)
    judged.feed("a banner")
    for event in events:
        judged.feed(json.dumps(event))
    return judged


@pytest.mark.parametrize(
    ("rules", "events", "exit_code", "reason"),
    [
        (CLAUDE, [FINE], 0, None),
        (CLAUDE, [FINE], 1, Reason.AGENT_FAILED),
        (CLAUDE, [FINE], 143, Reason.AGENT_FAILED),
        (CLAUDE, [DENIED], 0, Reason.PERMISSION_DENIED),
        (CLAUDE, [API_ERROR], 1, Reason.AGENT_FAILED),
        (CLAUDE, [BUDGET], 1, Reason.BUDGET_EXCEEDED),
        (CLAUDE, [TURNS], 1, Reason.AGENT_FAILED),
        (CLAUDE, [BROKEN], 0, Reason.AGENT_FAILED),
        (CLAUDE, [UNCLEAR], 0, Reason.AGENT_FAILED),
        (CLAUDE, [], 0, Reason.AGENT_FAILED),
        (CLAUDE, [BROKEN, FINE], 0, None),
        (CLAUDE_FLOW, [FINE], 0, None),
        (CLAUDE_FLOW, [FINE], 1, None),
        (CLAUDE_FLOW, [API_ERROR], 0, Reason.AGENT_FAILED),
        (CLAUDE_FLOW, [DENIED], 0, Reason.PERMISSION_DENIED),
        (CLAUDE_FLOW, [], 0, Reason.AGENT_FAILED),
        (COMMAND, [], 0, None),
        (COMMAND, [], 1, Reason.AGENT_FAILED),
        (COMMAND, [FINE], 0, None),
        (COMMAND, [BROKEN], 0, Reason.AGENT_FAILED),
        (COMMAND, [FINE], 2, Reason.AGENT_FAILED),
    ],
)
def test_success_is_judged_by_words_and_exit_code(
    rules: Rules, events: list[dict[str, Any]], exit_code: int, reason: Reason | None
) -> None:
    verdict = output(rules, *events).verdict(ended(exit_code))
    assert verdict.reason is reason
    assert (verdict.detail is None) == (reason is None)


@pytest.mark.parametrize(
    ("stopped", "reason", "key"),
    [
        (Stop.TIMED_OUT, Reason.TIMED_OUT, "claude_flow.timeout_seconds"),
        (Stop.STALLED, Reason.STALLED, "claude_flow.stall_timeout_seconds"),
        (Stop.OUT_OF_MEMORY, Reason.AGENT_FAILED, "execution.memory_max_bytes"),
    ],
)
def test_a_stop_counts_before_all_words(stopped: Stop, reason: Reason, key: str) -> None:
    # SIGINT and SIGTERM can leave a result, and even exit code 0.
    verdict = output(CLAUDE, FINE).verdict(ended(0, stopped))
    assert verdict.reason is reason
    assert key in (verdict.detail or "")


def test_a_refused_key_is_fatal_and_says_what_to_check() -> None:
    judged = output(CLAUDE, {"type": "system", "subtype": "api_retry", "error_status": 401})
    assert judged.fatal is not None
    verdict = judged.verdict(ended(143, Stop.FATAL))
    assert verdict.reason is Reason.AGENT_FAILED
    assert verdict.detail == judged.fatal
    assert "ANTHROPIC_API_KEY" in judged.fatal
    assert output(CLAUDE, FINE).fatal is None


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([TURNS], "claude_flow.max_turns"),
        ([BUDGET], "claude_flow.budget_usd"),
        ([DENIED], "Bash"),
        ([API_ERROR], "403: Forbidden for you"),
    ],
)
def test_the_detail_says_what_to_do(events: list[dict[str, Any]], words: str) -> None:
    assert words in (output(CLAUDE, *events).verdict(ended(1)).detail or "")


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        ("", "see the attempt's stdout.log"),
        ("one\nthe last one\n", "exit code 1 and no result: the last one"),
        ("Error: no such module\n  at x\n\nNode.js v20\n", "no result: Error: no such module"),
    ],
)
def test_without_words_the_complaint_is_told(stderr: str, words: str) -> None:
    detail = output(CLAUDE).verdict(ended(1, stderr=stderr)).detail
    assert words in (detail or "")


def test_no_key_gets_into_detail_or_summary() -> None:
    stderr = f"error: {KEY} and sk-ant-api03-abcdefghijk and ghp_0123456789abcdefghij refused"
    detail = output(CLAUDE).verdict(ended(1, stderr=stderr)).detail
    assert detail is not None
    assert detail.endswith("error: *** and *** and *** refused")
    summary = output(CLAUDE, FINE | {"result": f"used {KEY}"}).verdict(ended()).summary
    assert summary == "used ***"


def test_usage_and_summary_come_from_the_result() -> None:
    verdict = output(CLAUDE, FINE).verdict(ended())
    assert verdict.usage == Usage(turns=2, tokens=15, cost_usd=0.5)
    assert verdict.summary == "Did it."
    assert output(CLAUDE, FINE).progress.usage == verdict.usage


RESETS_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIMITED = {
    "type": "rate_limit_event",
    "rate_limit_info": {"status": "rejected", "resetsAt": int(RESETS_AT.timestamp())},
}


def refused(status: int | None) -> dict[str, Any]:
    return API_ERROR | {"api_error_status": status, "terminal_reason": "api_error"}


@pytest.mark.parametrize(
    ("events", "failure"),
    [
        ([refused(400)], ModelFailure(FailureKind.BAD_REQUEST, 400)),
        ([refused(401)], ModelFailure(FailureKind.REFUSED_KEY, 401)),
        ([refused(402)], ModelFailure(FailureKind.FORBIDDEN, 402)),
        ([refused(403)], ModelFailure(FailureKind.FORBIDDEN, 403)),
        ([refused(404)], ModelFailure(FailureKind.BAD_REQUEST, 404)),
        ([refused(429)], ModelFailure(FailureKind.USAGE_LIMIT, 429)),
        ([LIMITED, refused(429)], ModelFailure(FailureKind.USAGE_LIMIT, 429, RESETS_AT)),
        ([LIMITED, refused(500)], ModelFailure(FailureKind.OVERLOADED, 500)),
        ([refused(529)], ModelFailure(FailureKind.OVERLOADED, 529)),
        ([refused(None)], ModelFailure(FailureKind.UNREACHABLE)),
        ([TURNS], ModelFailure(FailureKind.TURN_LIMIT)),
        ([BUDGET], ModelFailure(FailureKind.BUDGET)),
        (
            [API_ERROR | {"result": f"usage limit reached|{int(RESETS_AT.timestamp())}"}],
            ModelFailure(FailureKind.USAGE_LIMIT, 429, RESETS_AT),
        ),
        ([BROKEN], None),
        ([DENIED], None),
        ([], None),
        ([LIMITED, FINE], None),
    ],
)
def test_what_stood_in_the_way_is_typed(
    events: list[dict[str, Any]], failure: ModelFailure | None
) -> None:
    assert output(CLAUDE_FLOW, *events).verdict(ended(0)).failure == failure


def test_a_refused_key_is_typed_although_the_cli_was_stopped() -> None:
    judged = output(CLAUDE, {"type": "system", "subtype": "api_retry", "error_status": 401})
    failure = judged.verdict(ended(143, Stop.FATAL)).failure
    assert failure == ModelFailure(FailureKind.REFUSED_KEY, 401)


def test_a_stop_by_the_runner_is_no_failure_of_the_model() -> None:
    assert output(CLAUDE, refused(529)).verdict(ended(143, Stop.STALLED)).failure is None


def test_the_end_of_a_usage_limit_is_told() -> None:
    detail = output(CLAUDE, LIMITED, refused(429)).verdict(ended(1)).detail
    assert "until 2026-01-01T12:00:00.000Z" in (detail or "")


def test_the_session_and_the_model_are_told() -> None:
    init = {"type": "system", "subtype": "init", "session_id": "one", "model": "small"}
    assert output(CLAUDE, init).progress.usage == Usage(model="small")
    used = {"small": {"costUSD": 0.1}, "big": {"costUSD": 0.4}}
    verdict = output(CLAUDE, init, FINE | {"modelUsage": used}).verdict(ended())
    assert verdict.session_id == "one"
    assert verdict.usage.model == "big"


def test_the_cost_of_a_resumed_session_is_what_was_added() -> None:
    resumed = FINE | {
        "total_cost_usd": 7.5,
        "model_usage_since_last_result": {"big": {"costUSD": 0.25}, "small": {"costUSD": 0.5}},
    }
    assert output(CLAUDE, resumed).verdict(ended()).usage.cost_usd == 0.75
    assert output(CLAUDE, resumed, resumed).verdict(ended()).usage.cost_usd == 1.5
