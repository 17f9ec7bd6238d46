"""What the real programs do with odd prompts and with what a repository tells them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from claude_flow.testing.messages_api import MessagesApi
from claude_flow.testing.messages_script import Say, bash, write_file
from tests.integration.agents.conftest import (
    ALLOWED,
    CLAUDE,
    CLAUDE_FLOW_2,
    CLAUDE_FLOW_3,
    REPOSITORY,
    Bench,
)

DUMP = "python3 -c \"import json, os; json.dump(dict(os.environ), open('environment', 'w'))\""


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


# What Claude Code and the shell of its Bash tool set by themselves.
THEIR_OWN = {
    *("AI_AGENT", "CLAUDECODE", "CLAUDE_EFFORT", "CLAUDE_PID", "COREPACK_ENABLE_AUTO_PIN"),
    *("GIT_EDITOR", "NoDefaultCurrentDirectoryInExePath", "PWD", "OLDPWD", "SHELL", "SHLVL", "_"),
    *(f"CLAUDE_CODE_{name}" for name in ("CHILD_NOTES_DIR", "CHILD_SESSION", "ENTRYPOINT")),
    *(f"CLAUDE_CODE_{name}" for name in ("EXECPATH", "MESSAGING_SOCKET", "MESSAGING_TOKEN")),
    *(f"CLAUDE_CODE_{name}" for name in ("SESSION_ATTENDED", "SESSION_ID")),
}


@pytest.mark.parametrize("bench", [CLAUDE, CLAUDE_FLOW_2, CLAUDE_FLOW_3], indirect=True)
async def test_a_tools_shell_sees_what_the_agent_was_given_and_no_more(
    bench: Bench, api: MessagesApi
) -> None:
    page = (REPOSITORY / "docs" / "explanation" / "safety.md").read_text()
    documented = {name for name in re.findall(r"`([A-Z_]+)`", page) if name not in ALLOWED}
    api.script([bash(DUMP)])
    assert (await bench.run()).reason is None
    seen: dict[str, str] = json.loads((bench.workspace / "environment").read_text())
    # Where python3 is pyenv's, it sets its own.
    names = {name for name in seen if not name.lstrip("_").startswith("PYENV_")} - THEIR_OWN
    if bench.kind == "claude":
        documented.remove("CLAUDE_FLOW_AUTO_UPDATE")
    assert names == {*ALLOWED, *documented}
    assert bench.host["GITHUB_TOKEN"] not in str(seen)
