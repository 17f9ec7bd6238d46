"""claude-flowctl: the service, its runs and its configuration from the command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from claude_flow import journal
from claude_flow.cli import runs, service
from claude_flow.cli.config import app as config_app
from claude_flow.cli.output import PROGRAM, say, say_error
from claude_flow.cli.session import Session, session_of
from claude_flow.cli.usage import usage
from claude_flow.errors import ClaudeFlowError
from claude_flow.version import __version__

_INTERRUPTED = 130

app = typer.Typer(
    help="Steer the service that turns labelled GitHub issues into pull requests.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
service.register(app)
app.add_typer(runs.app, name="runs")
app.add_typer(config_app, name="config")
app.command("run")(runs.run_now)
app.command()(usage)


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - the signature is typer's
    if wanted:
        say(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            show_default=False,
            help="The configuration file; else CLAUDE_FLOW_CONFIG or /etc/claude-flow/config.json.",
        ),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Make the session that the command works in."""
    context.obj = Session(config, os.environ)


@app.command()
def doctor(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check this host end to end and say how to mend what is wrong."""
    from claude_flow.cli.doctor import doctor as examine  # noqa: PLC0415 - loads every part

    examine(session_of(context), as_json=as_json)


def main() -> None:
    """Run the program; every failure is a line or two and an exit code, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # A title in any script must not end the program on a terminal that cannot show it.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # Standard error is a person's here, also where it is connected to the journal.
    journal.configure("WARNING", environ={})
    try:
        app(prog_name=PROGRAM)
    except ClaudeFlowError as error:
        say_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
