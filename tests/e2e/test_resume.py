"""Claude Code itself under the real daemon: what was cut short goes on in its own session."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from claude_flow.model.issue import IssueRef
from claude_flow.testing.daemon_process import DaemonProcess
from claude_flow.testing.installation import LABEL, MAINTAINER, Installation
from claude_flow.testing.messages_script import Turn, bash, write_file
from tests.real_agents import Installed, installed

__all__ = ["installed"]

WIDGETS = "acme/widgets"
TASK = "Write down what there is."
MAKE = [write_file("made.txt", "1\n")]
FINISH = [write_file("finished.txt", "2\n")]
HANG = "import time; time.sleep(600)"


@pytest.fixture
def host(installation: Installation, installed: Installed) -> Installation:
    """An installation whose agent is Claude Code, which asks the world's model."""
    installation.environ |= {
        "ANTHROPIC_API_KEY": "sk-ant-made-up-0123456789",
        "ANTHROPIC_BASE_URL": installation.world.messages_url,
        # The agent's tools call python3, which elsewhere on the PATH may need more than is seen.
        "PATH": f"{Path(sys.executable).parent}:{installation.environ['PATH']}",
    }
    installation.configure(
        claude_flow={
            "agent": "claude",
            "command": None,
            "install_prefix": str(installed.current),
            "stall_timeout_seconds": 5,
        }
    )
    installation.add_repository(WIDGETS)
    return installation


def ask(host: Installation) -> IssueRef:
    issue = host.world.github.open_issue(WIDGETS, "Write", TASK, MAINTAINER)
    host.world.github.label_issue(issue, LABEL, MAINTAINER)
    return issue


def python(code: str) -> Turn:
    return [bash(f'python3 -c "{code}"')]


def published(host: Installation) -> set[str]:
    (pull,) = host.world.github.pull_requests(WIDGETS)
    return set(host.world.github.files(WIDGETS, pull.head))


def journal(daemon: DaemonProcess) -> str:
    assert daemon.stop() == 0
    return daemon.log


def test_a_retry_goes_on_where_a_stalled_agent_was_stopped(host: Installation) -> None:
    # How many turns Claude Code counts after what was broken off is its own affair.
    host.world.messages.script(MAKE, python(HANG), FINISH, FINISH)
    issue = ask(host)
    daemon = host.start()

    run = host.ended(daemon, issue)

    first, second = run["attempts"]
    assert (first["reason"], second["reason"]) == ("stalled", "pull_request_opened")
    assert first["session_id"] == second["session_id"] is not None
    assert {"made.txt", "finished.txt"} <= published(host)
    last = host.world.messages.requests[-1]
    assert TASK in last.prompt, "the conversation begins with the first attempt's prompt"
    assert "Go on where you stopped" in last.last_prompt
    assert TASK not in last.last_prompt
    assert f"the agent's session {first['session_id']} goes on" in journal(daemon)


def test_a_transcript_that_became_a_link_is_not_followed(
    host: Installation, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.jsonl"
    talk = {"type": "user", "message": {"role": "user", "content": "hunter2"}}
    secret.write_text(json.dumps(talk) + "\n")
    swap = (
        "import glob, os, time; path, = glob.glob(os.environ['CLAUDE_CONFIG_DIR'] + "
        f"'/projects/*/*.jsonl'); os.rename(path, path + '.old'); os.symlink('{secret}', path); "
        "time.sleep(600)"
    )
    host.world.messages.script(FINISH, match="This is attempt 2")
    host.world.messages.script(MAKE, python(swap))
    issue = ask(host)
    daemon = host.start()

    run = host.ended(daemon, issue)

    first, second = run["attempts"]
    assert (first["reason"], second["reason"]) == ("stalled", "pull_request_opened")
    assert second["session_id"] not in {None, first["session_id"]}
    assert {"made.txt", "finished.txt"} <= published(host)
    assert "cannot be gone on with, so a new one begins" in journal(daemon)


def test_what_the_checks_say_is_told_in_the_same_session(host: Installation) -> None:
    host.configure(workflow={"verify": {"commands": ["cat finished.txt"]}})
    host.world.messages.script(MAKE, [], FINISH)
    issue = ask(host)
    daemon = host.start()

    run = host.ended(daemon, issue)

    (attempt,) = run["attempts"]
    assert attempt["reason"] == "pull_request_opened"
    assert {"made.txt", "finished.txt"} <= published(host)
    last = host.world.messages.requests[-1]
    assert TASK in last.prompt
    assert "finished.txt: No such file" in last.last_prompt
    assert TASK not in last.last_prompt
    assert "goes on" in journal(daemon)
