"""What the commands for the service do."""

from __future__ import annotations

import os
import signal as signals

import typer

from claude_flow.cli.output import say, say_json
from claude_flow.cli.service_status import say_status
from claude_flow.cli.session import Session
from claude_flow.errors import ServiceError
from claude_flow.service import ServiceManager, Verdict

_LSB_CODES = {
    Verdict.HEALTHY: 0,
    Verdict.UNHEALTHY: 1,
    Verdict.STOPPED: 3,
    Verdict.UNKNOWN: 4,
}


def _manager(session: Session) -> ServiceManager:
    return ServiceManager(session.config, environ=session.environ)


def status(session: Session, *, as_json: bool) -> None:
    """Print the status and leave with LSB's code for it."""
    found = ServiceManager(session.settings, environ=session.environ).status()
    if as_json:
        say_json(found.to_dict())
    else:
        say_status(session.settings.get("systemd.unit"), found)
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


def reload(session: Session, *, timeout: float | None) -> None:
    """Reload and say so."""
    manager = _manager(session)
    manager.reload(timeout)
    say(f"{manager.unit} was told to read its configuration anew")


def enable(session: Session, *, timeout: float) -> None:
    """Enable and say so."""
    manager = _manager(session)
    manager.enable(timeout)
    say(f"{manager.unit} starts at boot")


def disable(session: Session, *, timeout: float) -> None:
    """Disable and say so."""
    manager = _manager(session)
    manager.disable(timeout)
    say(f"{manager.unit} no longer starts at boot")


def kill(session: Session, *, signal: int, timeout: float) -> None:
    """Send the signal and say so."""
    manager = _manager(session)
    manager.kill(signal, timeout)
    say(f"{signals.Signals(signal).name} was sent to {manager.unit}")


def logs(session: Session, *, follow: bool, lines: int, run: str | None, since: str | None) -> None:
    """Become journalctl, which pages, follows and filters; returns only by ServiceError."""
    manager = ServiceManager(session.settings, environ=session.environ)
    argv = ["journalctl", f"--unit={manager.unit}", f"--lines={lines}"]
    try:
        namespace = manager.log_namespace()
    except ServiceError:
        namespace = None  # without systemd there may still be a journal of earlier
    # With the plus sign: also what systemd itself says of the unit in the host's own journal.
    argv += [f"--namespace=+{namespace}"] if namespace else []
    argv += ["--follow"] if follow else []
    argv += [f"CLAUDE_FLOW_RUN_ID={run}"] if run else []
    argv += [f"--since={since}"] if since else []
    try:
        os.execvpe(argv[0], argv, dict(session.environ))  # noqa: S606 - it takes over, pager too
    except OSError as error:
        raise ServiceError(
            f"journalctl cannot be run: {error.strerror}",
            hint="without systemd the service's log is on its standard error",
        ) from error
