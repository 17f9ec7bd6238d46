"""Attempts' units without systemd: each a process of its own that outlives whoever started it.

What systemd does for ``claude-flow-run@.service`` as far as the outcome of an attempt goes: it
runs ``claude-flow-run`` and what comes after it. There is no other user and no sandbox.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import psutil

from claude_flow.errors import ServiceError
from claude_flow.ports import UnitState, UnitUsage

_PREFIX = "claude-flow-run@"
_SUFFIX = ".service"


@dataclass(eq=False)
class _Unit:
    process: subprocess.Popen[bytes]
    is_forgotten: bool = False
    ran_out_of_memory: bool = False


@dataclass(slots=True)
class FakeUnits:
    """Implements ``ports.AttemptUnits``.

    ``units_directory`` and ``seen_at`` are as in ``UnitSettings``; the latter becomes a link, so
    one unit has to be under way before the next is started. ``limits`` are every unit's, ``starts``
    those that were; ``stop_seconds`` is the template's time to end in.
    """

    units_directory: Path
    seen_at: Path
    limits: UnitUsage = field(default_factory=UnitUsage)
    starts: list[str] = field(default_factory=list)
    stop_seconds: float = 30.0
    _units: dict[str, _Unit] = field(default_factory=dict)

    def start(self, unit: str, *, timeout_seconds: float) -> None:  # noqa: ARG002 - the port's
        """Run ``claude-flow-run`` with the spec that was laid down."""
        shown = self.units_directory / unit.removeprefix(_PREFIX).removesuffix(_SUFFIX) / "in"
        if not shown.is_dir():
            raise ServiceError(f"{unit} did not start: nothing was laid down in {shown}")
        self.seen_at.unlink(missing_ok=True)
        self.seen_at.symlink_to(shown)
        argv = (sys.executable, "-I", "-m", "claude_flow.execution.main", f"{shown}/spec.json")
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, env={})
        self._units[unit] = _Unit(process)
        self.starts.append(unit)

    def stop(self, unit: str, *, timeout_seconds: float) -> None:
        """SIGTERM, and SIGKILL to what does not end in time."""
        if (known := self._units.get(unit)) is None:
            return
        known.process.terminate()
        try:
            known.process.wait(min(timeout_seconds, self.stop_seconds))
        except subprocess.TimeoutExpired:
            self.kill(unit)
            known.process.wait()

    def stop_all(self) -> None:
        """As a host does that is shut down."""
        for unit in self._units:
            self.stop(unit, timeout_seconds=10)

    def kill(self, unit: str) -> None:
        """SIGKILL to all of it at once, as ``systemctl kill`` does."""
        first = psutil.Process(self._units[unit].process.pid)
        # Stopped first, so that nobody sees another's end and still says something.
        for process in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        for process in (*first.children(recursive=True), first):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def run_out_of_memory(self, unit: str) -> None:
        """Kill all of it, as the kernel does at the unit's limit."""
        self._units[unit].ran_out_of_memory = True
        self.kill(unit)

    def reset_failed(self, unit: str) -> None:
        """Forget that it failed."""
        self._units[unit].is_forgotten = True

    def state(self, unit: str) -> UnitState:
        """As systemd would tell it."""
        known = self._units.get(unit)
        code = None if known is None else known.process.poll()
        is_up = known is not None and code is None
        has_failed = known is not None and bool(code) and not known.is_forgotten
        result = "success"
        if has_failed and code is not None:
            result = "signal" if code < 0 else "exit-code"
            if known is not None and known.ran_out_of_memory:
                result = "oom-kill"
        return UnitState(
            unit=unit,
            load="loaded",
            active="active" if is_up else "failed" if has_failed else "inactive",
            sub="running" if is_up else "dead",
            file="static",
            result=result,
            main_pid=known.process.pid if known is not None and is_up else None,
            exit_status=None if code is None else abs(code),
            restarts=0,
            status_text=None,
            active_since=None,
        )

    def usage(self, unit: str) -> UnitUsage:  # noqa: ARG002 - the port's
        """Its limits."""
        return self.limits

    def running(self, pattern: str) -> list[str]:
        """The units that are up and match."""
        return [
            unit
            for unit in self._units
            if fnmatchcase(unit, pattern) and self.state(unit).active == "active"
        ]
