"""What the commands for the service do."""

from __future__ import annotations

import signal as signals

import typer

from claude_flow.cli.output import say, say_fields, say_json
from claude_flow.cli.session import Session
from claude_flow.ports import UnitState
from claude_flow.service import ServiceManager, ServiceStatus, Verdict

_LSB_CODES = {
    Verdict.HEALTHY: 0,
    Verdict.UNHEALTHY: 1,
    Verdict.STOPPED: 3,
    Verdict.UNKNOWN: 4,
}
_MIB = 1024 * 1024
_GIB = 1024 * _MIB


def _manager(session: Session) -> ServiceManager:
    return ServiceManager(session.config, environ=session.environ)


def status(session: Session, *, as_json: bool) -> None:
    """Print the status and leave with LSB's code for it."""
    found = ServiceManager(session.settings, environ=session.environ).status()
    if as_json:
        say_json(found.to_dict())
    else:
        _say_status(session.settings.get("systemd.unit"), found)
    raise typer.Exit(_LSB_CODES[found.verdict])


def start(session: Session, *, timeout: float | None) -> None:
    """Start and say so."""
    manager = _manager(session)
    manager.start(timeout)
    say(f"{manager.unit} is running")


def stop(session: Session, *, timeout: float | None, force: bool) -> None:
    """Stop and say so."""
    manager = _manager(session)
    manager.stop(timeout, force=force)
    say(f"{manager.unit} is stopped")


def restart(session: Session, *, timeout: float | None) -> None:
    """Restart and say so."""
    manager = _manager(session)
    manager.restart(timeout)
    say(f"{manager.unit} is running anew")


def reload(session: Session) -> None:
    """Reload and say so."""
    manager = _manager(session)
    manager.reload()
    say(f"{manager.unit} was told to read its configuration anew")


def enable(session: Session) -> None:
    """Enable and say so."""
    manager = _manager(session)
    manager.enable()
    say(f"{manager.unit} starts at boot")


def disable(session: Session) -> None:
    """Disable and say so."""
    manager = _manager(session)
    manager.disable()
    say(f"{manager.unit} no longer starts at boot")


def kill(session: Session, *, signal: int) -> None:
    """Send the signal and say so."""
    manager = _manager(session)
    manager.kill(signal)
    say(f"{signals.Signals(signal).name} was sent to {manager.unit}")


def _say_status(unit_name: str, found: ServiceStatus) -> None:
    say(f"{unit_name}: {found.verdict}")
    unit, process, resources = found.unit, found.process, found.resources
    say_fields(
        [
            ("unit", _unit_line(unit) or found.unit_error),
            ("result", unit.result if unit and unit.result != "success" else None),
            ("says", unit.status_text if unit else None),
            ("restarts", unit.restarts if unit and unit.restarts else None),
            ("process", f"{process.pid}, up {_duration(process.uptime_seconds)}")
            if process
            else ("process", None),
            ("memory", _amount(resources.memory_bytes, _MIB, "MiB")),
            ("cpu", _amount(resources.cpu_seconds, 1, "s")),
            ("tasks", resources.tasks),
            ("disk free", _amount(resources.disk_free_bytes, _GIB, "GiB")),
            ("http", found.health.address),
            ("version", found.health.version),
            ("health", _with_detail(found.health.status, found.health.detail)),
        ]
    )
    for name, results in sorted(found.health.checks.items()):
        for result in results if isinstance(results, list) else [results]:
            if isinstance(result, dict):
                say(f"  {name}: {_with_detail(str(result.get('status')), result.get('output'))}")


def _unit_line(unit: UnitState | None) -> str | None:
    if unit is None:
        return None
    since = unit.active_since if unit.is_active else None
    text = f" since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
    return f"{unit.active} ({unit.sub}){text}, {unit.file or unit.load}"


def _with_detail(status_: str, detail: object) -> str:
    return f"{status_}: {detail}" if detail else status_


def _amount(value: float | None, unit: int, name: str) -> str | None:
    return None if value is None else f"{value / unit:.1f} {name}"


def _duration(seconds: float) -> str:
    minutes, _ = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {int(seconds) % 60} s"
