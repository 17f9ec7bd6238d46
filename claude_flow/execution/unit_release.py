"""Opening to the service, later, what an agent closed: after a power cut nothing did it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from claude_flow.execution.unit_control import UnitControl
from claude_flow.execution.unit_processes import UnitProcesses
from claude_flow.ports import AgentPlaces, Clock

_SECONDS = 300.0
# What is wanted is what follows every unit's program: ``ExecStopPost=`` of the template.
_NOTHING = ("true",)
# In the place of a mirror's objects, which a unit must have: what everybody may read.
_NO_OBJECTS = Path("/usr")


@dataclass(frozen=True, slots=True)
class UnitRelease:
    """Runs ``release`` as the agent's user, in a unit where nothing else runs."""

    control: UnitControl
    clock: Clock

    async def __call__(self, run_id: str, directory: Path) -> None:
        """Open what is the agent's below ``directory``. Raises ProcessError."""
        if not await asyncio.to_thread(_is_directory, directory):
            return
        places = AgentPlaces(directory, directory, _NO_OBJECTS)
        processes = UnitProcesses(self.control, run_id, places, clock=self.clock)
        await processes.run(
            _NOTHING, cwd=directory, env={"PATH": "/usr/bin:/bin"}, timeout_seconds=_SECONDS
        )


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
