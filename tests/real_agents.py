"""The agents' own command line programs, for tests that start them."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from claude_flow.agents.versions import CLAUDE_FLOW_2_VERSION

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Installed:
    """The directories with the programs; both are kept between test runs."""

    current: Path
    line_2: Path


@pytest.fixture(scope="session")
def installed() -> Installed:
    cache = REPOSITORY / ".cache"
    found = Installed(cache / "agents", cache / "agents-2")
    _install(found.current)
    _install(found.line_2, "--claude-flow", CLAUDE_FLOW_2_VERSION, "--claude", "none")
    return found


def _install(prefix: Path, *options: str) -> None:
    tool = REPOSITORY / "tools" / "install_agents.py"
    done = subprocess.run(
        [sys.executable, str(tool), str(prefix), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
