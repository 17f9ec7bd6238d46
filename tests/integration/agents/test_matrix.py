"""The same troubles for every agent: the right reason, in time, with nothing left behind.

The fixture ``bench`` looks at the time and for what is left behind, after each case.
"""

import asyncio
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from claude_flow.model.events import (
    PermissionDenied,
    Result,
    Retry,
    SessionStarted,
    Started,
    Text,
    ToolResult,
    ToolUse,
    UsageTold,
)
from claude_flow.model.failures import FailureKind
from claude_flow.model.run import Reason
from claude_flow.ports import Limits, Verdict
from claude_flow.testing.messages_api import MessagesApi
from claude_flow.testing.messages_script import Turn, bash, write_file
from tests.integration.agents.conftest import KEY, Bench
from tests.integration.agents.outside import Outside, changed_since

ALWAYS = 1000
HUGE_CHARACTERS = 400_000
LONGEST_SOCKET_PATH = 103  # of Claude Code's own
MAKE = [write_file("made.py", "print(1)\n")]
LOOK = [bash("git status")]
_TELLING = (SessionStarted, ToolUse, ToolResult, Text)


def python(code: str) -> Turn:
    return [bash(f'python3 -c "{code}"')]


def failure(verdict: Verdict) -> FailureKind | None:
    return None if verdict.failure is None else verdict.failure.kind


async def test_success(bench: Bench, api: MessagesApi) -> None:
    api.script(MAKE, LOOK)
    events: list[str | None] = []
    verdict = await bench.run(on_progress=lambda progress: events.append(progress.last_event))
    assert verdict.reason is None
    assert verdict.summary == "Done."
    assert verdict.usage.turns == 3
    assert verdict.usage.tokens is not None
    assert verdict.usage.cost_usd is not None
    assert verdict.usage.model is not None
    assert verdict.session_id is not None
    assert events[-1] == "result: success"
    assert (bench.workspace / "made.py").read_text() == "print(1)\n"
    assert bench.changed() == ["made.py"]
    assert "what' $the issue\nasks for" in api.requests[-1].prompt
    happened = [event.what for event in bench.events()]
    assert happened[0] == Started()
    assert [type(it) for it in happened if isinstance(it, _TELLING)] == [
        *(SessionStarted, ToolUse, ToolResult, ToolUse, ToolResult, Text)
    ]
    assert ToolUse("Bash", "git status") in happened
    assert any(isinstance(it, UsageTold) and it.turns == 2 for it in happened[:-1])
    result = happened[-1]
    assert isinstance(result, Result)
    assert (result.ok, result.text, result.exit_code) == (True, "Done.", 0)
    assert (result.turns, result.tokens) == (verdict.usage.turns, verdict.usage.tokens)


async def test_a_denied_tool_is_no_success(bench: Bench, api: MessagesApi) -> None:
    api.script([bash("curl http://127.0.0.1:9/")])
    verdict = await bench.run()
    assert verdict.reason is Reason.PERMISSION_DENIED
    assert "Bash" in (verdict.detail or "")
    happened = [event.what for event in bench.events()]
    assert PermissionDenied("Bash") in happened
    assert any(isinstance(it, ToolResult) and it.is_error for it in happened)
    assert isinstance(happened[-1], Result)
    assert not happened[-1].ok


@pytest.mark.parametrize(
    ("allowed", "reason"),
    [("Bash(python3:*)", None), ("Bash(git:*)", Reason.PERMISSION_DENIED)],
)
async def test_what_is_allowed_runs_and_nothing_else(
    bench: Bench, api: MessagesApi, allowed: str, reason: Reason | None
) -> None:
    api.script(python("open('made.txt', 'w')"))
    verdict = await bench.run(allowed_tools=(allowed,))
    assert verdict.reason is reason, verdict.detail
    assert (bench.workspace / "made.txt").exists() == (reason is None)


async def test_nothing_is_left_outside_its_folders(bench: Bench, api: MessagesApi) -> None:
    outside, began = Outside(bench.root), time.time()
    bench.around = outside.around
    telltale = Path("/var/tmp/left-by-a-tool")
    # Where a socket's path gets too long Claude Code puts it there: docs/explanation/safety.md.
    socket = bench.task.scratch / "tmp" / "cc-socks" / "1234567.sock"
    too_long = len(str(socket)) > LONGEST_SOCKET_PATH
    spared = {Path(f"/tmp/cc-socks-{os.getuid()}")} if too_long else set()
    temporary = "import tempfile; tempfile.mkstemp()"
    api.script(MAKE, LOOK, python(temporary), python(f"open('{telltale}', 'w')"))
    assert (await bench.run()).reason is None
    api.fail(403, times=ALWAYS)
    again = replace(bench.task, attempt=2, scratch=bench.root / "runs" / "2" / "scratch")
    assert (await bench.run(task=again)).reason is Reason.AGENT_FAILED
    # What a tool wrote there by name is seen, so the rest would have been.
    assert [path for path in outside.left() if path not in spared] == [telltale]
    # Another worker that makes sure of the installation opens its lock.
    assert set(changed_since(began, bench.prefix)) <= {bench.prefix / ".lock"}
    assert bench.changed() == ["made.py"]


async def test_a_refused_key_is_not_tried_for_minutes(bench: Bench, api: MessagesApi) -> None:
    api.fail(401, times=ALWAYS)
    verdict = await bench.run()
    assert verdict.reason is Reason.AGENT_FAILED
    assert failure(verdict) is FailureKind.REFUSED_KEY
    assert "ANTHROPIC_API_KEY" in (verdict.detail or "")
    assert KEY not in str(verdict)
    assert len(api.requests) < 5


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, FailureKind.FORBIDDEN),
        (429, FailureKind.USAGE_LIMIT),
        (529, FailureKind.OVERLOADED),
    ],
)
async def test_what_the_api_keeps_refusing_is_told(
    bench: Bench, api: MessagesApi, status: int, kind: FailureKind
) -> None:
    api.fail(status, times=ALWAYS, retry_after=1 if status == 429 else None)
    verdict = await bench.run()
    assert verdict.reason is Reason.AGENT_FAILED
    assert failure(verdict) is kind
    assert str(status) in (verdict.detail or "")


async def test_a_pause_that_the_api_asks_for_is_made(bench: Bench, api: MessagesApi) -> None:
    api.script(MAKE)
    api.fail(429, retry_after=4)
    assert (await bench.run()).reason is None
    assert bench.seconds >= 4
    assert bench.changed() == ["made.py"]
    retries = [event.what for event in bench.events() if isinstance(event.what, Retry)]
    assert [(retry.status, (retry.delay_seconds or 0) >= 4) for retry in retries] == [(429, True)]


async def test_three_errors_of_the_api_are_survived(bench: Bench, api: MessagesApi) -> None:
    api.script(MAKE)
    api.fail(500, times=3)
    assert (await bench.run()).reason is None
    assert bench.changed() == ["made.py"]


async def test_a_silent_model_is_a_stall(bench: Bench, api: MessagesApi) -> None:
    api.hang(times=ALWAYS)
    verdict = await bench.run(limits=Limits(timeout_seconds=240, stall_timeout_seconds=5))
    assert verdict.reason is Reason.STALLED


async def test_a_stream_cut_in_the_middle_is_asked_for_again(
    bench: Bench, api: MessagesApi
) -> None:
    api.script(MAKE)
    api.cut()
    assert (await bench.run()).reason is None
    assert bench.changed() == ["made.py"]


async def test_the_turn_limit_holds(bench: Bench, api: MessagesApi) -> None:
    api.script(*(LOOK for _ in range(20)))
    verdict = await bench.run(max_turns=2)
    assert verdict.reason is Reason.AGENT_FAILED
    assert failure(verdict) is FailureKind.TURN_LIMIT
    assert "claude_flow.max_turns" in (verdict.detail or "")


async def test_the_budget_holds(bench: Bench, api: MessagesApi) -> None:
    api.script(*(LOOK for _ in range(20)))
    verdict = await bench.run(budget_usd=0.0001)
    assert verdict.reason is Reason.BUDGET_EXCEEDED
    assert failure(verdict) is FailureKind.BUDGET


async def test_a_huge_line_is_read(bench: Bench, api: MessagesApi) -> None:
    api.script([write_file("huge.txt", "ä" * HUGE_CHARACTERS)])
    verdict = await bench.run()
    assert verdict.reason is None
    assert len((bench.workspace / "huge.txt").read_text()) == HUGE_CHARACTERS
    (log,) = (bench.root / "runs").rglob("stdout.log")
    assert max(map(len, log.read_bytes().splitlines())) > HUGE_CHARACTERS
    (events,) = (bench.root / "runs").rglob("events.jsonl")
    assert events.stat().st_size < 60_000
    assert isinstance(bench.events()[-1].what, Result)


async def test_what_a_tool_leaves_in_the_background_is_swept(
    bench: Bench, api: MessagesApi
) -> None:
    code = (
        "import subprocess as s; open('pid', 'w').write(str("
        "s.Popen(['sleep', '600'], start_new_session=True, stdin=s.DEVNULL, stdout=s.DEVNULL, "
        "stderr=s.DEVNULL).pid))"
    )
    api.script(python(code))
    assert (await bench.run()).reason is None
    assert int((bench.workspace / "pid").read_text()) > 0


async def at_work(bench: Bench, run: asyncio.Task[Verdict]) -> None:
    """Wait until a tool of the agent's runs."""
    for _ in range(6000):
        if (bench.workspace / "up").exists() or run.done():
            break
        await asyncio.sleep(0.02)
    assert not run.done()


WORK = "import pathlib, time; pathlib.Path('up').touch(); time.sleep(600)"


async def test_cancelled_in_the_middle_it_ends(bench: Bench, api: MessagesApi) -> None:
    api.script(python(WORK))
    run = asyncio.create_task(bench.run())
    await at_work(bench, run)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_ended_by_somebody_elses_sigterm_it_has_failed(
    bench: Bench, api: MessagesApi
) -> None:
    api.script(python(WORK))
    run = asyncio.create_task(bench.run())
    await at_work(bench, run)
    outermost(bench).send_signal(signal.SIGTERM)
    verdict = await run
    assert verdict.reason is Reason.AGENT_FAILED
    assert verdict.failure is None


def outermost(bench: Bench) -> psutil.Process:
    """The agent's own first process: its parent is ``claude-flow-run``."""
    processes = {process.pid: process for process in bench.left_alive()}
    (runner,) = (
        process
        for process in processes.values()
        if "claude_flow.execution.main" in process.cmdline() and process.ppid() not in processes
    )
    (agent,) = runner.children()
    return agent
