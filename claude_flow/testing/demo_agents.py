"""The agents that ``make demo`` can play with."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claude_flow.errors import ClaudeFlowError

_PAUSE_SECONDS = "0.8"  # long enough to watch, short enough not to wait for
_CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class DemoAgent:
    """The ``claude_flow`` section of the demo's configuration."""

    settings: dict[str, Any]


def demo_agent(kind: str) -> DemoAgent:
    """The scripted agent, or a real CLI, installed first where it is missing.

    Real ones talk to the stand-in's scripted model. Raises ClaudeFlowError if one cannot be
    installed.
    """
    if kind == "scripted":
        command = [sys.executable, "-m", "claude_flow.testing.agent", "--pause", _PAUSE_SECONDS]
        return DemoAgent({"agent": "command", "command": command})
    setup = _CHECKOUT / "tools" / "setup.sh"
    if not setup.is_file():
        raise ClaudeFlowError(
            f"{setup} is missing", hint="run the demo with a real agent from a checkout"
        )
    if subprocess.run([str(setup), "agents"], check=False).returncode != 0:
        raise ClaudeFlowError(
            "the agents could not be installed", hint="the lines above say what is missing"
        )
    return DemoAgent({"agent": kind, "install_prefix": str(_CHECKOUT / ".cache" / "agents")})
