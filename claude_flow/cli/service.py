"""The commands for the service. What they do is in ``service_actions``, loaded when it is."""

from __future__ import annotations

import signal as signals
from typing import Annotated, Any

import typer

from claude_flow.cli.session import session_of

_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Timeout = Annotated[
    float | None,
    typer.Option(min=0.1, help="Seconds to wait; by default as configured.", show_default=False),
]
_AnswerTimeout = Annotated[
    float, typer.Option("--timeout", min=0.1, help="Seconds to wait for systemd's answer.")
]


def status(context: typer.Context, *, as_json: _AsJson = False) -> None:
    """Tell how the service stands. Exit code: 0 healthy, 1 unhealthy, 3 stopped, 4 unknown."""
    _perform(context, "status", as_json=as_json)


def start(context: typer.Context, *, timeout: _Timeout = None) -> None:
    """Start the service and wait until it is ready."""
    _perform(context, "start", timeout=timeout)


def stop(
    context: typer.Context,
    *,
    timeout: _Timeout = None,
    force: Annotated[bool, typer.Option("--force", help="Kill what does not end in time.")] = False,
) -> None:
    """Stop the service and wait for its end."""
    _perform(context, "stop", timeout=timeout, force=force)


def restart(context: typer.Context, *, timeout: _Timeout = None) -> None:
    """Stop the service if it runs, start it and wait until it is ready."""
    _perform(context, "restart", timeout=timeout)


def reload(context: typer.Context, *, timeout: _Timeout = None) -> None:
    """Have the running service read its configuration anew."""
    _perform(context, "reload", timeout=timeout)


def enable(context: typer.Context, *, timeout: _AnswerTimeout = 30) -> None:
    """Start the service at every boot from now on."""
    _perform(context, "enable", timeout=timeout)


def disable(context: typer.Context, *, timeout: _AnswerTimeout = 30) -> None:
    """No longer start the service at boot."""
    _perform(context, "disable", timeout=timeout)


def kill(
    context: typer.Context,
    *,
    signal: Annotated[str, typer.Option(help="A signal's name or number.")] = "KILL",
    timeout: _AnswerTimeout = 30,
) -> None:
    """Send a signal to every process of the service."""
    _perform(context, "kill", signal=_signal_number(signal), timeout=timeout)


def logs(
    context: typer.Context,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many.")] = 100,
    run: Annotated[str | None, typer.Option(help="Only what concerns this run.")] = None,
    since: Annotated[str | None, typer.Option(help="As journalctl takes it: '1 hour ago'.")] = None,
) -> None:
    """Show the service's journal."""
    _perform(context, "logs", follow=follow, lines=lines, run=run, since=since)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (status, start, stop, restart, reload, enable, disable, kill, logs):
        app.command()(command)


def _perform(context: typer.Context, action: str, **options: Any) -> None:
    from claude_flow.cli import service_actions  # noqa: PLC0415 - loads psutil and D-Bus

    getattr(service_actions, action)(session_of(context), **options)


def _signal_number(text: str) -> int:
    name = text.upper().removeprefix("SIG")
    try:
        return signals.Signals(int(name)) if name.isdecimal() else signals.Signals[f"SIG{name}"]
    except (KeyError, ValueError):
        raise typer.BadParameter(f"{text!r} is not a signal", param_hint="--signal") from None
