"""What is wired together follows the configuration in force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from claude_flow.bootstrap import Parts, wire
from claude_flow.config import ConfigManager
from claude_flow.errors import (
    AgentUnavailableError,
    GitHubUnreachableError,
    TokenRefusedError,
)
from claude_flow.journal import redactor
from claude_flow.model.issue import Repository

WIDGETS = Repository("acme", "widgets")
TOKEN = "ghp_" + "bootstrap0" * 3


class Host:
    """A configuration file and what is wired from it."""

    def __init__(self, root: Path) -> None:
        self.state = root / "state"
        self.path = root / "config.json"
        self.document: dict[str, dict[str, Any]] = {
            "github": {"repositories": ["acme/widgets"], "token": TOKEN},
            "service": {
                "state_directory": str(self.state),
                "workspace_root": str(self.state / "workspaces"),
            },
            "claude_flow": {"agent": "command", "command": ["/bin/true"]},
        }
        self.write()
        self.config = ConfigManager.load(self.path, environ={})

    def write(self, **sections: dict[str, Any]) -> None:
        for section, values in sections.items():
            self.document[section] = self.document.get(section, {}) | values
        self.path.write_text(json.dumps(self.document), encoding="utf-8")
        self.path.chmod(0o600)

    def wired(self) -> Parts:
        return wire(self.config, environ={"PATH": "/usr/bin:/bin"})


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_wiring_opens_no_database_and_asks_nobody(host: Host) -> None:
    host.wired()
    assert [path.name for path in host.state.iterdir()] == ["host-id"]


def test_a_reload_is_felt_by_the_next_attempt(host: Host) -> None:
    parts = host.wired()
    assert parts.attempts.worker.briefing.operator().numbers.timeout_seconds == 3600
    parts.agent().check()
    host.write(
        claude_flow={"timeout_seconds": 60, "max_attempts": 7, "command": ["/opt/nobody/agent"]}
    )
    host.config.reload()
    assert parts.attempts.worker.briefing.operator().numbers.timeout_seconds == 60
    assert parts.attempts.retries().max_attempts == 7
    with pytest.raises(AgentUnavailableError, match="/opt/nobody/agent"):
        parts.agent().check()


def test_without_a_token_every_request_says_so(host: Host) -> None:
    host.document["github"].pop("token")
    host.write()
    host.config.reload()
    with pytest.raises(TokenRefusedError, match=r"github\.token_file"):
        host.wired().github.repository(WIDGETS)


def test_a_token_is_masked_from_its_first_use_on(host: Host) -> None:
    host.write(github={"api_url": "http://127.0.0.1:9", "token": "plainword-token-of-no-shape"})
    host.config.reload()
    with pytest.raises(GitHubUnreachableError):
        host.wired().github.repository(WIDGETS)
    assert "plainword" not in redactor.redact("it is plainword-token-of-no-shape")
