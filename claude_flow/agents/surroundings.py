"""What an agent finds around itself: its environment, its directories, its programs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from claude_flow.agents.settings import AgentSettings
from claude_flow.errors import AgentUnavailableError
from claude_flow.ports import AgentTask

_PATH_WITHOUT_ANY = "/usr/local/bin:/usr/bin:/bin"

# What claude-flow leaves in the directory it works in, measured over its v2 and v3.
_CLAUDE_FLOW_DROPPINGS = (
    ".claude-flow/",
    ".hive-mind/",
    ".swarm/",
    ".agents/",
    ".claude/",
    ".mcp.json",
    "CLAUDE.md",
    "memory/",
    "ruvector.db",
    "claude-flow",
)


def droppings(kind: str) -> tuple[str, ...]:
    """Paths in a workspace that this kind of agent's own tools leave behind."""
    return _CLAUDE_FLOW_DROPPINGS if kind == "claude-flow" else ()


@dataclass(frozen=True, slots=True)
class Scratch:
    """The directories of one attempt's own. Short names: a socket's path has 108 bytes."""

    root: Path

    @property
    def home(self) -> Path:
        """The agent's HOME."""
        return self.root / "home"

    @property
    def temporary(self) -> Path:
        """The agent's TMPDIR."""
        return self.root / "tmp"

    @property
    def claude(self) -> Path:
        """Claude Code's settings and transcripts."""
        return self.root / "claude"

    @property
    def programs(self) -> Path:
        """Programs that stand before the installed ones on the PATH."""
        return self.root / "bin"


class Surroundings:
    """The part of the host that agents may see."""

    def __init__(self, settings: AgentSettings, host_environment: Mapping[str, str]) -> None:
        self._allowed = {
            name: host_environment[name]
            for name in settings.environment_allowlist
            if name in host_environment
        }
        self._allowed["PATH"] = ":".join(
            (
                str(settings.install_prefix / "bin"),
                self._allowed.get("PATH") or _PATH_WITHOUT_ANY,
            )
        )
        self._settings = settings

    @property
    def path(self) -> str:
        """The agent's PATH; the installed CLIs come first."""
        return self._allowed["PATH"]

    def environment(self, task: AgentTask) -> dict[str, str]:
        """All variables that every kind of agent gets."""
        scratch = Scratch(task.scratch)
        return {
            **self._allowed,
            "CLAUDE_FLOW_RUN_ID": task.run_id,
            "CLAUDE_FLOW_ISSUE": str(task.issue),
            "CLAUDE_FLOW_WORKSPACE": str(task.workspace),
            "HOME": str(scratch.home),
            "TMPDIR": str(scratch.temporary),
        }

    def find(self, program: str, *, install: str) -> Path:
        """Where ``program`` is; ``install`` says how to come by it.

        Raises AgentUnavailableError if there is none that may be executed.
        """
        found = shutil.which(program, path=self.path)
        if found is None:
            where = program if "/" in program else f"{program} in {self.path}"
            raise AgentUnavailableError(
                f"the agent's program is not there or not executable: looked for {where}",
                hint=install,
            )
        return Path(found)
