"""The real Claude Code and the real claude-flow against a scripted model, without a network."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from claude_flow.agents import AgentSettings, droppings, make_agent
from claude_flow.execution.local import LocalExecution, LocalSettings
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Reason
from claude_flow.ports import AgentTask, Limits, Progress, Verdict
from claude_flow.testing.messages_api import MessagesApi
from claude_flow.testing.messages_script import Say, Turn, bash, write_file
from claude_flow.testing.serving import LoopbackServer

REPOSITORY = Path(__file__).parents[3]
AMPLE = Limits(timeout_seconds=120, stall_timeout_seconds=60)
KINDS = ["claude", "claude-flow"]
KEY = "sk-ant-made-up-0123456789"


@pytest.fixture(scope="session")
def prefix() -> Path:
    """The installed programs; kept between test runs."""
    prefix = REPOSITORY / ".cache" / "agents"
    tool = REPOSITORY / "tools" / "install_agents.py"
    done = subprocess.run(
        [sys.executable, str(tool), str(prefix)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return prefix


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    server = LoopbackServer()
    yield server
    server.stop()


@pytest.fixture
def api(server: LoopbackServer) -> MessagesApi:
    messages = MessagesApi(server)
    server.start(messages.app)
    return messages


def ignore(_: Progress) -> None:
    """Hear of progress and do nothing."""


class Bench:
    """One attempt of one kind of agent in a fresh git repository."""

    def __init__(self, kind: str, prefix: Path, api_url: str, root: Path) -> None:
        self.workspace = root / "workspace"
        self.workspace.mkdir()
        subprocess.run(["git", "init", "-q"], cwd=self.workspace, check=True)
        self.kind = kind
        self.task = AgentTask(
            run_id=f"widgets-7-{os.getpid()}",
            attempt=1,
            issue=IssueRef.parse("octo/widgets#7"),
            workspace=self.workspace,
            scratch=root / "s",
            prompt="--do 'what' $the issue\nasks for",
        )
        self.prefix = prefix
        self._host = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": api_url,
            "GITHUB_TOKEN": "ghp_must_not_be_seen",
        }
        settings = LocalSettings(runs_directory=root / "runs", grace_seconds=4, poll_seconds=0.02)
        self._execution = LocalExecution(settings, clock=lambda: datetime.now(UTC))

    async def run(
        self,
        *,
        limits: Limits = AMPLE,
        on_progress: Callable[[Progress], None] = ignore,
        max_turns: int = 50,
        budget_usd: float | None = None,
        prompt: str | None = None,
    ) -> Verdict:
        settings = AgentSettings(
            kind=self.kind,
            install_prefix=self.prefix,
            max_turns=max_turns,
            budget_usd=budget_usd,
            environment_allowlist=("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "PATH", "LANG"),
        )
        agent = make_agent(settings, self._host, str)
        agent.check()
        output = agent.output()
        task = self.task
        if prompt is not None:
            task = AgentTask(
                task.run_id, task.attempt, task.issue, task.workspace, task.scratch, prompt
            )
        ended = await self._execution.run(task, agent.command(task), limits, output, on_progress)
        return output.verdict(ended)

    def changed(self) -> list[str]:
        """What git sees as new beside what the agent says is to be ignored."""
        exclude = self.workspace / ".git" / "info" / "exclude"
        exclude.write_text("".join(f"/{path}\n" for path in droppings(self.kind)))
        status = subprocess.run(
            ["git", "status", "--porcelain"],
            cwd=self.workspace,
            capture_output=True,
            check=True,
            text=True,
        )
        return [line.removeprefix("?? ") for line in status.stdout.splitlines()]

    def left_alive(self) -> list[psutil.Process]:
        """Processes that carry this attempt's workspace in their environment."""
        found = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
            except psutil.Error:
                continue
            if environment.get("CLAUDE_FLOW_WORKSPACE") == str(self.workspace):
                found.append(process)
        return found


@pytest.fixture(params=KINDS)
def bench(
    request: pytest.FixtureRequest, prefix: Path, server: LoopbackServer, tmp_path: Path
) -> Bench:
    return Bench(request.param, prefix, server.url, tmp_path)


def python(code: str) -> Turn:
    return [bash(f'python3 -c "{code}"')]


async def test_done(bench: Bench, api: MessagesApi) -> None:
    names = "import os; open('names.txt', 'w').write(' '.join(os.environ))"
    api.script([write_file("made.py", "print(1)\n")], [bash("git status")], python(names))
    events: list[str | None] = []
    verdict = await bench.run(on_progress=lambda progress: events.append(progress.last_event))
    assert verdict.reason is None
    assert verdict.summary == "Done."
    assert verdict.usage.turns == 4
    assert verdict.usage.tokens is not None
    assert verdict.usage.cost_usd is not None
    assert events[-1] == "result: success"
    assert (bench.workspace / "made.py").read_text() == "print(1)\n"
    assert bench.changed() == ["made.py", "names.txt"]
    seen = set((bench.workspace / "names.txt").read_text().split())
    assert {"ANTHROPIC_API_KEY", "CLAUDE_FLOW_RUN_ID", "CLAUDE_FLOW_ISSUE"} <= seen
    assert "GITHUB_TOKEN" not in seen
    assert "what' $the issue\nasks for" in api.requests[-1].prompt
    assert bench.left_alive() == []


async def test_a_denied_tool_is_no_success(bench: Bench, api: MessagesApi) -> None:
    api.script([bash("curl http://127.0.0.1:9/")])
    verdict = await bench.run()
    assert verdict.reason is Reason.PERMISSION_DENIED
    assert "Bash" in (verdict.detail or "")


async def test_a_refused_key_is_not_tried_for_minutes(bench: Bench, api: MessagesApi) -> None:
    api.fail(401, times=100)
    verdict = await bench.run()
    assert verdict.reason is Reason.AGENT_FAILED
    assert "ANTHROPIC_API_KEY" in (verdict.detail or "")
    assert KEY not in str(verdict)
    assert len(api.requests) < 5


@pytest.mark.parametrize("bench", ["claude"], indirect=True)
async def test_a_refusal_of_the_api_is_told(bench: Bench, api: MessagesApi) -> None:
    api.fail(403, times=100)
    verdict = await bench.run()
    assert verdict.reason is Reason.AGENT_FAILED
    assert "403" in (verdict.detail or "")


@pytest.mark.parametrize("bench", ["claude"], indirect=True)
async def test_a_stream_cut_in_the_middle_is_asked_for_again(
    bench: Bench, api: MessagesApi
) -> None:
    api.script([write_file("made.py", "print(1)\n")])
    api.cut()
    assert (await bench.run()).reason is None
    assert (bench.workspace / "made.py").exists()


async def test_a_silent_model_is_a_stall(bench: Bench, api: MessagesApi) -> None:
    api.hang(times=100)
    verdict = await bench.run(limits=Limits(timeout_seconds=120, stall_timeout_seconds=4))
    assert verdict.reason is Reason.STALLED
    assert bench.left_alive() == []


async def test_cancelled_while_a_tool_runs_nothing_is_left(bench: Bench, api: MessagesApi) -> None:
    api.script(python("import pathlib, time; pathlib.Path('up').touch(); time.sleep(600)"))
    run = asyncio.create_task(bench.run())
    for _ in range(3000):
        if (bench.workspace / "up").exists() or run.done():
            break
        await asyncio.sleep(0.01)
    assert not run.done()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert bench.left_alive() == []


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
    assert bench.left_alive() == []


async def test_the_turn_limit_holds(bench: Bench, api: MessagesApi) -> None:
    api.script(*([bash("git status")] for _ in range(20)))
    verdict = await bench.run(max_turns=2)
    assert verdict.reason is Reason.AGENT_FAILED
    assert "claude_flow.max_turns" in (verdict.detail or "")


@pytest.mark.parametrize("bench", ["claude"], indirect=True)
async def test_the_budget_holds(bench: Bench, api: MessagesApi) -> None:
    api.script(*([bash("git status")] for _ in range(20)))
    verdict = await bench.run(budget_usd=0.0001)
    assert verdict.reason is Reason.BUDGET_EXCEEDED


@pytest.mark.parametrize("bench", ["claude-flow"], indirect=True)
async def test_a_prompt_longer_than_an_argument_may_be(bench: Bench, api: MessagesApi) -> None:
    api.script([write_file("made.py", "print(1)\n")])
    assert (await bench.run(prompt="ä" * 150_000)).reason is None
    assert (bench.workspace / "made.py").exists()


async def test_the_repositorys_own_hooks_and_servers_do_not_run(
    bench: Bench, api: MessagesApi, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    touch = {"type": "command", "command": f"touch {trace}"}
    hooks = {"hooks": {"SessionStart": [{"hooks": [touch]}], "Stop": [{"hooks": [touch]}]}}
    (bench.workspace / ".claude").mkdir()
    (bench.workspace / ".claude" / "settings.json").write_text(json.dumps(hooks))
    server = {"command": "touch", "args": [str(trace)]}
    (bench.workspace / ".mcp.json").write_text(json.dumps({"mcpServers": {"evil": server}}))
    api.script([Say("Nothing to do.")])
    assert (await bench.run()).reason is None
    assert not trace.exists()
