"""The agent's port: every kind goes through the same cases."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claude_flow.agents import AgentSettings, droppings, make_agent
from claude_flow.errors import AgentUnavailableError
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Reason, Usage
from claude_flow.ports import Agent, AgentTask, ProcessEnded, Stop

KINDS = ["command", "claude", "claude-flow"]
SECRET = "sk-ant-made-up-0123456789"
HOST = {"PATH": "/usr/bin:/bin", "ANTHROPIC_API_KEY": SECRET, "GITHUB_TOKEN": "ghp_never"}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def agent(kind: str, tmp_path: Path) -> Agent:
    prefix = tmp_path / "prefix"
    for name in ("my-agent", "claude", "claude-flow", "node"):
        program = prefix / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    return agent_at(kind, prefix)


def agent_at(kind: str, prefix: Path) -> Agent:
    return make_agent(
        AgentSettings(
            kind=kind,
            command=("my-agent",) if kind == "command" else None,
            install_prefix=prefix,
            version="3.43.0",
            environment_allowlist=("PATH", "ANTHROPIC_API_KEY"),
        ),
        HOST,
        str,
    )


@pytest.fixture
def task(tmp_path: Path) -> AgentTask:
    return AgentTask(
        run_id="widgets-7-0123456789",
        attempt=1,
        issue=IssueRef.parse("octo/widgets#7"),
        workspace=tmp_path / "workspace",
        scratch=tmp_path / "scratch",
        prompt="the prompt",
    )


def ended(exit_code: int = 0, stopped: Stop | None = None) -> ProcessEnded:
    return ProcessEnded(exit_code, stopped, NOW, NOW, "")


def test_check_is_content_or_says_what_to_do(agent: Agent, kind: str, tmp_path: Path) -> None:
    agent.check()
    missing = make_agent(
        AgentSettings(kind=kind, command=("my-agent",), install_prefix=tmp_path / "empty"), {}, str
    )
    with pytest.raises(AgentUnavailableError, match="my-agent in ") as caught:
        missing.check()
    assert caught.value.hint


def test_the_key_is_in_the_environment_only(agent: Agent, task: AgentTask) -> None:
    command = agent.command(task)
    assert command.environment["ANTHROPIC_API_KEY"] == SECRET
    assert "GITHUB_TOKEN" not in command.environment
    assert SECRET not in " ".join((*command.argv, command.stdin, *command.files.values()))


def test_it_says_which_run_it_works_for(agent: Agent, task: AgentTask) -> None:
    environment = agent.command(task).environment
    assert environment["CLAUDE_FLOW_RUN_ID"] == task.run_id
    assert environment["CLAUDE_FLOW_ISSUE"] == "octo/widgets#7"
    assert environment["CLAUDE_FLOW_WORKSPACE"] == str(task.workspace)


def test_all_its_paths_are_of_its_own(agent: Agent, task: AgentTask) -> None:
    command = agent.command(task)
    own = (*command.files, *command.directories)
    assert all(path.is_relative_to(task.scratch) for path in own)
    assert {command.environment["HOME"], command.environment["TMPDIR"]} <= set(
        map(str, command.directories)
    )
    assert command.executable <= set(command.files)


def test_the_prompt_gets_there(agent: Agent, task: AgentTask) -> None:
    command = agent.command(task)
    assert any("the prompt" in text for text in (command.stdin, *command.files.values()))


def test_droppings_are_the_same_before_and_in_a_run(
    agent: Agent, kind: str, task: AgentTask
) -> None:
    assert agent.command(task).ignored == droppings(kind)


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lines=st.lists(st.text()), exit_code=st.integers(0, 255))
def test_any_output_is_judged(agent: Agent, lines: list[str], exit_code: int) -> None:
    output = agent.output()
    for line in lines:
        output.feed(line)
    verdict = output.verdict(ended(exit_code))
    assert output.fatal is None
    assert verdict.usage == Usage()
    assert (verdict.reason is None) == (verdict.detail is None)
    assert verdict.reason in {None, Reason.AGENT_FAILED}


@pytest.mark.parametrize(
    ("stopped", "reason"), [(Stop.TIMED_OUT, Reason.TIMED_OUT), (Stop.STALLED, Reason.STALLED)]
)
def test_a_stop_by_the_runner_is_told(agent: Agent, stopped: Stop, reason: Reason) -> None:
    assert agent.output().verdict(ended(0, stopped)).reason is reason


def test_readers_share_nothing(agent: Agent) -> None:
    first, second = agent.output(), agent.output()
    first.feed('{"type": "system", "subtype": "api_retry", "error_status": 401}')
    assert first.fatal is not None
    assert second.fatal is None
