"""A service installed for a test: configuration, state and agent, in front of a world."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from claude_flow.model.issue import IssueRef, Repository
from claude_flow.service.places import ADDRESS_FILE
from claude_flow.testing.daemon_process import DaemonProcess, host_environment, until
from claude_flow.testing.records import AppRecord
from claude_flow.testing.world import World

LABEL = "ready-for-implementation"
MAINTAINER = "maria"

# Whatever an issue asks for in a block of Python is done by this agent, in the workspace.
_AGENT = """\
import json, os, re, signal, subprocess, sys, time
from pathlib import Path
prompt = sys.stdin.read()
for block in re.findall(r"```python\\n(.*?)```", prompt, re.DOTALL):
    exec(compile(block, "<issue>", "exec"), globals())
"""


class Installation:
    """Starts real daemons on one configuration; all of them are gone after the ``with``.

    The agent runs the blocks of Python in an issue's text. ``MAINTAINER`` may write to every
    repository made here.
    """

    def __init__(self, root: Path, world: World) -> None:
        self.root = root
        self.world = world
        self.state = root / "state"
        self.config = root / "config.json"
        self.token_file = root / "github-token"
        self.app_key_file = root / "github-app.pem"
        self.log = root / "service.log"
        self.environ = host_environment(root / "home")
        self.daemons: list[DaemonProcess] = []
        root.mkdir(parents=True, exist_ok=True)
        (root / "home").mkdir()
        agent = root / "agent.py"
        agent.write_text(_AGENT, encoding="utf-8")
        self.token_file.touch(0o600)
        self.token_file.write_text(world.token + "\n", encoding="ascii")
        self.settings: dict[str, dict[str, Any]] = {
            "github": {
                "token_file": str(self.token_file),
                "api_url": world.api_url,
                "git_base_url": world.git_base_url,
                "repositories": [],
                "poll_interval_seconds": 0.5,
            },
            "service": {
                "state_directory": str(self.state),
                "workspace_root": str(self.state / "workspaces"),
            },
            "claude_flow": {
                "agent": "command",
                "command": [sys.executable, str(agent)],
                "retry_backoff_seconds": 0.2,
                "retry_backoff_max_seconds": 1,
            },
            # Tests leave signs for their agents beside the service, and look for theirs there.
            "execution": {
                "writable_paths": [str(root.parent)],
                "readable_paths": [str(Path(__file__).parents[1])],
            },
            "monitoring": {"http_port": 0, "status_file": str(self.state / "status.json")},
        }
        self.configure()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for daemon in self.daemons:
            daemon.kill()
        until(lambda: not self.agents(), lambda: f"the end of the agents {self.agents()}")

    def configure(self, **sections: Mapping[str, Any]) -> None:
        """Change sections of the configuration file; a running daemon has to be told."""
        for section, values in sections.items():
            self.settings[section] = {**self.settings.get(section, {}), **values}
        self.config.write_text(json.dumps(self.settings, indent=2), encoding="utf-8")

    def act_as_app(self, owner: str, *, token_seconds: float = 3600) -> AppRecord:
        """Have the service act as a GitHub App that is installed on ``owner``."""
        app = self.world.github.install_app(owner, token_seconds=token_seconds)
        self.app_key_file.touch(0o600)
        self.app_key_file.write_text(app.private_key, encoding="ascii")
        named = {
            "id": app.id,
            "installation_id": app.installation_id,
            "private_key_file": str(self.app_key_file),
        }
        self.configure(github={"token_file": None, "app": named})
        return app

    def add_repository(self, name: str, files: Mapping[str, str] | None = None) -> Repository:
        """Make a repository in the world and watch it."""
        made = self.world.github.add_repository(
            name, files=files, permissions={MAINTAINER: "write"}
        )
        self.configure(github={"repositories": [*self.settings["github"]["repositories"], name]})
        return made

    def issue(
        self,
        repository: str | Repository,
        work: str,
        *,
        title: str = "Change it",
        labelled_by: str | None = MAINTAINER,
    ) -> IssueRef:
        """Open an issue whose agent runs ``work``; label it unless ``labelled_by`` is None."""
        body = f"Please do this:\n\n```python\n{work}\n```\n"
        ref = self.world.github.open_issue(repository, title, body, MAINTAINER)
        if labelled_by is not None:
            self.world.github.label_issue(ref, LABEL, labelled_by)
        return ref

    def start(self, *arguments: str, environ: Mapping[str, str] | None = None) -> DaemonProcess:
        """Start a daemon; returns at once."""
        daemon = DaemonProcess(
            ["--config", str(self.config), *arguments],
            environ={**self.environ, **(environ or {})},
            log=self.log,
            address_file=self.state / ADDRESS_FILE,
        )
        self.daemons.append(daemon)
        return daemon

    def agents(self) -> list[int]:
        """Processes of agents that live now, whoever started them."""
        return [
            process.pid
            for process in psutil.process_iter()
            if _environment(process).get("CLAUDE_FLOW_WORKSPACE", "").startswith(str(self.root))
        ]

    def ended(self, daemon: DaemonProcess, issue: IssueRef, count: int = 1) -> dict[str, Any]:
        """The issue's latest run, once ``count`` runs of it have ended."""

        def all_ended() -> list[dict[str, Any]]:
            runs = daemon.runs(issue)
            is_over = len(runs) >= count and all(run["ended_at"] for run in runs)
            return runs if is_over else []

        return until(all_ended, lambda: f"{count} runs of {issue} to end\n{daemon.last_words()}")[0]


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return {}
