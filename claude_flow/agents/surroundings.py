"""What an agent finds around itself: its environment, its directories, its programs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from claude_flow.agents.settings import AgentSettings
from claude_flow.errors import AgentUnavailableError
from claude_flow.ports import AgentTask

_PATH_WITHOUT_ANY = "/usr/local/bin:/usr/bin:/bin"
_MODEL_ADDRESS = "ANTHROPIC_BASE_URL"
_PORTS = {"https": 443, "http": 80}

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

    def model_host(self, usual: str | None = None) -> tuple[str, ...]:
        """Where the model is: the address in the agent's environment, else the ``usual`` one.

        As ``name:port``; none if there is neither.
        """
        address = self._allowed.get(_MODEL_ADDRESS) or usual
        return () if address is None else _host_and_port(address)

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


def _host_and_port(address: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # no address: the agent says so itself
        return ()
    if not host or port is None:
        return ()
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}",)
