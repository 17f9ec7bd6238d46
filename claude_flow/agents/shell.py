"""A repository's own commands (hooks, checks), in the surroundings of an agent."""

from __future__ import annotations

from collections.abc import Mapping

from claude_flow.agents.secrets import is_secret
from claude_flow.agents.settings import AgentSettings
from claude_flow.agents.surroundings import Scratch, Surroundings
from claude_flow.ports import AgentCommand, AgentTask


class RepositoryShell:
    """Implements ``ports.Shell``: what an agent sees of the host, less its secrets."""

    def __init__(self, settings: AgentSettings, host_environment: Mapping[str, str]) -> None:
        self._surroundings = Surroundings(settings, host_environment)

    def command(self, task: AgentTask, script: str) -> AgentCommand:
        """The script for ``/bin/sh -e``; both its streams are one."""
        scratch = Scratch(task.scratch)
        environment = self._surroundings.environment(task)
        return AgentCommand(
            argv=("/bin/sh", "-e", "-c", f"exec 2>&1\n{script}"),
            environment={
                **{name: value for name, value in environment.items() if not is_secret(name)},
                "CLAUDE_FLOW_ATTEMPT": str(task.attempt),
            },
            stdin="",
            files={},
            directories=(scratch.home, scratch.temporary),
        )
