"""The stand-in for GitHub beside a target; it lives on when the target is cut off."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.targets import access, background

_NAME = "standin"


def start(state: Path, seed: Path) -> None:
    """Start it on the ports that the target's configuration names. Raises TargetError."""
    argv = [
        *(sys.executable, "-m", "claude_flow.testing.world"),
        *(f"--state={state / 'world'}", f"--seed={seed}"),
        *(f"--port={access.port(state, 'port_a')}", f"--git-port={access.port(state, 'port_b')}"),
    ]
    background.start(argv, state, _NAME)


def end(state: Path) -> None:
    """End it, if it runs."""
    background.end(state, _NAME)
