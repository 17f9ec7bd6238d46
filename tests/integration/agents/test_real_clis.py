"""What the real programs do with odd prompts and with what a repository tells them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from claude_flow.testing.messages_api import MessagesApi
from claude_flow.testing.messages_script import Say, write_file
from tests.integration.agents.conftest import CLAUDE, CLAUDE_FLOW_2, CLAUDE_FLOW_3, Bench


@pytest.mark.parametrize("bench", [CLAUDE_FLOW_2, CLAUDE_FLOW_3], indirect=True)
async def test_a_prompt_longer_than_an_argument_may_be(bench: Bench, api: MessagesApi) -> None:
    api.script([write_file("made.py", "print(1)\n")])
    assert (await bench.run(task=replace(bench.task, prompt="ä" * 150_000))).reason is None
    assert (bench.workspace / "made.py").exists()


# An own command is called as its operator wants it.
@pytest.mark.parametrize("bench", [CLAUDE, CLAUDE_FLOW_2, CLAUDE_FLOW_3], indirect=True)
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
