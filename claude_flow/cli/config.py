"""The commands for the configuration. What they do is in ``config_actions``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from claude_flow.cli import config_actions as actions
from claude_flow.cli.session import Session, session_of

app = typer.Typer(
    help="Check, show and change the configuration.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Key = Annotated[str, typer.Argument(metavar="KEY", help="Such as github.trigger_label.")]
_File = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        show_default=False,
        help="The configuration file; else CLAUDE_FLOW_CONFIG or /etc/claude-flow/config.json.",
    ),
]


def _session(context: typer.Context, file: Path | None) -> Session:
    session = session_of(context)
    return session if file is None else Session(file, session.environ)


@app.command()
def check(
    context: typer.Context,
    *,
    config: _File = None,
    document_only: Annotated[
        bool,
        typer.Option(
            "--document-only",
            help="Judge the file alone: no environment, no files that it names, no conf.d.",
        ),
    ] = False,
    as_json: _AsJson = False,
) -> None:
    """Say every fault of the configuration; exit code 78 if there is one."""
    actions.check(_session(context, config), document_only=document_only, as_json=as_json)


@app.command()
def show(context: typer.Context, *, config: _File = None, as_json: _AsJson = False) -> None:
    """Show every setting's value and where it came from; secrets are masked."""
    actions.show(_session(context, config), as_json=as_json)


@app.command()
def get(
    context: typer.Context,
    key: _Key,
    *,
    config: _File = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print a secret in clear.")] = False,
    as_json: _AsJson = False,
) -> None:
    """Print the value of one setting or section."""
    actions.get(_session(context, config), key, reveal=reveal, as_json=as_json)


@app.command()
def explain(
    context: typer.Context, key: _Key, *, config: _File = None, as_json: _AsJson = False
) -> None:
    """Say which layer, file and line a value came from, and what the setting means."""
    actions.explain(_session(context, config), key, as_json=as_json)


@app.command("set")
def set_(
    context: typer.Context,
    key: _Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="- reads it from standard input.")],
    *,
    config: _File = None,
    as_json: _AsJson = False,
) -> None:
    """Write one setting into the configuration file."""
    actions.set_value(_session(context, config), key, value, as_json=as_json)


@app.command()
def schema(*, _as_json: _AsJson = False) -> None:
    """Print the JSON Schema of the configuration, with or without --json."""
    actions.print_schema()


@app.command()
def env(context: typer.Context, *, as_json: _AsJson = False) -> None:
    """List the environment variables that set something."""
    actions.list_variables(session_of(context), as_json=as_json)


@app.command()
def diff(context: typer.Context, *, config: _File = None, as_json: _AsJson = False) -> None:
    """Say what the running daemon has otherwise than its files say now."""
    actions.diff(_session(context, config), as_json=as_json)


@app.command()
def migrate(
    context: typer.Context,
    *,
    config: _File = None,
    write: Annotated[bool, typer.Option("--write", help="Replace the file.")] = False,
    as_json: _AsJson = False,
) -> None:
    """Turn an older file's names into today's; print the result or replace the file."""
    actions.migrate_file(_session(context, config), write=write, as_json=as_json)
