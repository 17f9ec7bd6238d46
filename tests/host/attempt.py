"""An attempt of the host's own units, as tests drive it."""

from __future__ import annotations

import json
import shutil
import sys
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from claude_flow.agents.settings import AgentSettings
from claude_flow.agents.shell import RepositoryShell
from claude_flow.execution.event_log import EventPosition, RunEvents
from claude_flow.execution.lease import FileLease
from claude_flow.execution.unit_control import UnitControl, UnitSettings
from claude_flow.execution.unit_files import instance_of, unit_of
from claude_flow.execution.units import UnitExecution
from claude_flow.model.events import AgentEvent
from claude_flow.ports import (
    AGENT_PART,
    AgentCommand,
    AgentPlaces,
    AgentTask,
    Excerpt,
    Limits,
    ProcessEnded,
)
from claude_flow.systemd.manager import SystemdUnits
from claude_flow.testing.attempts import Lines, first_task
from claude_flow.workflow.commands import Commands

STATE = Path("/var/lib/claude-flow")
PATH = "/usr/local/bin:/usr/bin:/bin"
SECRET = "sk-very-secret"
WAITING = ("sh", "-c", "echo up; exec sleep 600")
LIMITS = Limits(timeout_seconds=280, stall_timeout_seconds=280)

_PROBE = Path(__file__).with_name("probe.py").read_text(encoding="utf-8")


class Attempt:
    """One attempt in units of its own."""

    def __init__(self) -> None:
        self.run_id = f"host-1-{uuid.uuid4().hex[:10]}"
        self.workspace = STATE / "workspaces" / self.run_id
        self.run_directory = STATE / "runs" / self.run_id
        self.scratch = self.run_directory / "1/scratch"
        self.unit = self.unit_of(AGENT_PART)
        self.output = Lines()
        places = AgentPlaces(self.workspace, self.run_directory / "repo.git", STATE / "repos")
        for directory in (self.workspace, places.repository):
            directory.mkdir(parents=True)
        self.control = UnitControl(UnitSettings(runs_directory=STATE / "runs"), SystemdUnits())
        self.places = places
        self.is_wanted = False
        self._read_to = EventPosition()

    def unit_of(self, part: str) -> str:
        """The unit of a part of the first attempt."""
        return unit_of(instance_of(self.run_id, 1, part))

    def set_up(self, *, overdue_seconds: float = 60, lease: FileLease | None = None) -> None:
        """Change how attempts are watched."""
        settings = replace(self.control.settings, overdue_seconds=overdue_seconds, lease=lease)
        self.control = UnitControl(settings, SystemdUnits())

    def execution(self) -> UnitExecution:
        """What a daemon that was just started runs attempts with."""
        return UnitExecution(
            self.control,
            places=lambda _: self.places,
            is_wanted=lambda _: self.is_wanted,
            clock=lambda: datetime.now(UTC),
        )

    def task(self, number: int = 1, part: str = AGENT_PART) -> AgentTask:
        """What is asked of it."""
        scratch = self.run_directory / str(number) / "scratch"
        task = first_task(self.workspace, scratch, self.run_id)
        return replace(task, attempt=number, part=part)

    async def run(
        self,
        *argv: str,
        number: int = 1,
        part: str = AGENT_PART,
        copies: Mapping[Path, Excerpt] | None = None,
        limits: Limits = LIMITS,
        **environment: str,
    ) -> ProcessEnded:
        """Run a program as its agent, to the end."""
        task = self.task(number, part)
        home, temporary = task.scratch / "home", task.scratch / "tmp"
        command = AgentCommand(
            argv,
            {"PATH": PATH, "HOME": str(home), "TMPDIR": str(temporary), **environment},
            "",
            {},
            directories=(home, temporary),
            copies=copies or {},
        )
        return await self.execution().run(task, command, limits, self.output, lambda _: None)

    def commands(self) -> Commands:
        """What runs the repository's own scripts for it."""
        settings = AgentSettings(
            kind="command", environment_allowlist=("PATH", "ANTHROPIC_API_KEY", "TOKEN")
        )
        host = {"PATH": PATH, "ANTHROPIC_API_KEY": SECRET, "TOKEN": SECRET}
        return Commands(
            execution=self.execution(),
            find_shell=lambda: RepositoryShell(settings, host),
            redact=lambda text: text,
        )

    async def probe(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """What the probe told, by try."""
        ended = await self.run(sys.executable, "-c", _PROBE, *arguments)
        assert ended.exit_code == 0, ended
        told = [json.loads(line) for line in self.output.lines]
        return {answer["try"]: answer for answer in told}

    def news(self) -> list[AgentEvent]:
        """The events since the last time, as whoever follows the run reads them."""
        told = RunEvents(STATE / "runs").after(self.run_id, self._read_to)
        if told:
            self._read_to = told[-1].end
        return [AgentEvent.from_line(one.line) for one in told]

    def remove(self) -> None:
        """Remove all that it left."""
        shutil.rmtree(self.workspace)
        shutil.rmtree(self.run_directory)


def processes_of(unit: str) -> tuple[int, ...]:
    """What is left of a unit."""
    return tuple(SystemdUnits().usage(unit).pids)
