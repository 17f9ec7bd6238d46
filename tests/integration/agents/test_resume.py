"""A later attempt, or a later round of one, goes on with the session of the agent's before."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from claude_flow.model.failures import FailureKind
from claude_flow.model.run import Reason
from claude_flow.ports import AgentSession, AgentTask, Limits, Verdict
from claude_flow.testing.messages_api import MessagesApi
from claude_flow.testing.messages_script import bash, write_file
from tests.integration.agents.conftest import CLAUDE, CLAUDE_FLOW_2, CLAUDE_FLOW_3, Bench

with_sessions = pytest.mark.parametrize(
    "bench", [CLAUDE, CLAUDE_FLOW_2, CLAUDE_FLOW_3], indirect=True
)
GO_ON = "go on where you stopped"
MAKE = [write_file("made.py", "print(1)\n")]
FINISH = [write_file("finished.py", "print(2)\n")]
SLEEP = [bash('python3 -c "import time; time.sleep(600)"')]


def following(bench: Bench, before: Verdict) -> AgentTask:
    """The attempt after the bench's, asked to go on."""
    assert before.session_id is not None
    return replace(
        bench.task,
        attempt=2,
        scratch=bench.root / "runs" / "2" / "scratch",
        prompt="all of it anew",
        resume=AgentSession(before.session_id, bench.task.scratch, GO_ON),
    )


def result(bench: Bench, *, attempt: int) -> dict[str, Any]:
    """The agent's own last words."""
    log = bench.root / "runs" / bench.task.run_id / str(attempt) / "stdout.log"
    events = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    last: dict[str, Any] = [event for event in events if event["type"] == "result"][-1]
    return last


def transcript(bench: Bench) -> Path:
    (path,) = (bench.task.scratch / "claude" / "projects").rglob("*.jsonl")
    return path


@with_sessions
async def test_an_attempt_goes_on_after_the_turn_limit(bench: Bench, api: MessagesApi) -> None:
    api.script(MAKE, [bash("git status")], FINISH)
    before = await bench.run(max_turns=1)
    assert before.failure is not None
    assert before.failure.kind is FailureKind.TURN_LIMIT
    asked = len(api.requests)

    verdict = await bench.run(task=following(bench, before), max_turns=50)

    assert verdict.reason is None
    assert verdict.session_id == before.session_id
    after = api.requests[asked:]
    assert all("asks for" in request.prompt for request in after), "the first prompt comes first"
    assert all("all of it anew" not in request.prompt for request in after)
    assert GO_ON in after[0].last_prompt
    assert after[0].turn > 0
    assert bench.changed() == ["finished.py", "made.py"]
    assert verdict.usage.turns == len(after), "those before it went on are the first attempt's"
    assert verdict.usage.cost_usd is not None
    assert before.usage.cost_usd is not None
    total = result(bench, attempt=2)["total_cost_usd"]
    assert verdict.usage.cost_usd == pytest.approx(total - before.usage.cost_usd)


@pytest.mark.parametrize("bench", [CLAUDE], indirect=True)
async def test_an_attempt_goes_on_after_one_that_was_killed_in_the_middle_of_a_tool(
    bench: Bench, api: MessagesApi
) -> None:
    # How many turns it counts after what was broken off is Claude Code's own affair.
    api.script(MAKE, SLEEP, FINISH, FINISH)
    before = await bench.run(limits=Limits(timeout_seconds=240, stall_timeout_seconds=5))
    assert before.reason is Reason.STALLED
    with transcript(bench).open("ab") as file:
        file.write(b'{"type":"assistant","half a')  # as a SIGKILL may leave it

    verdict = await bench.run(task=following(bench, before))

    assert (verdict.reason, verdict.session_id) == (None, before.session_id)
    assert "asks for" in api.requests[-1].prompt
    assert (bench.workspace / "finished.py").exists()


@pytest.mark.parametrize("bench", [CLAUDE], indirect=True)
@pytest.mark.parametrize("left", ["", "no JSON\n", '{"type": "summary"}\n'])
async def test_what_is_no_transcript_any_more_begins_a_new_session(
    bench: Bench, api: MessagesApi, left: str
) -> None:
    api.script(MAKE)
    before = await bench.run()
    transcript(bench).write_text(left)

    verdict = await bench.run(task=following(bench, before))

    assert verdict.reason is None
    assert verdict.session_id not in {None, before.session_id}
    assert "all of it anew" in api.requests[-1].prompt


@with_sessions
async def test_a_later_round_goes_on_in_the_same_place(bench: Bench, api: MessagesApi) -> None:
    api.script(MAKE, [], FINISH)
    first = await bench.run()
    assert first.session_id is not None
    session = AgentSession(first.session_id, bench.task.scratch, GO_ON)

    again = await bench.run(task=replace(bench.task, part="agent-2", resume=session))

    assert (again.reason, again.session_id) == (None, first.session_id)
    assert "asks for" in api.requests[-1].prompt
    assert GO_ON in api.requests[-1].last_prompt
