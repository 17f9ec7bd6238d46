"""The commands for runs. What they do is in ``run_actions``, loaded when it is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from claude_flow.cli.session import session_of
from claude_flow.errors import UsageError
from claude_flow.model.run import RunState

_MOST = 1000  # as many as the daemon lists

_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id.", show_default=False)]

app = typer.Typer(help="The runs.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_(
    context: typer.Context,
    *,
    state: Annotated[
        list[RunState] | None, typer.Option(help="Only these.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=_MOST, help="How many.")] = 50,
    as_json: _AsJson = False,
) -> None:
    """List runs, the newest first."""
    _perform(context, "list_runs", states=state or [], limit=limit, as_json=as_json)


@app.command()
def show(context: typer.Context, run: _RunId, *, as_json: _AsJson = False) -> None:
    """Show one run and its attempts."""
    _perform(context, "show", run_id=run, as_json=as_json)


@app.command()
def logs(
    context: typer.Context,
    run: _RunId,
    *,
    attempt: Annotated[
        int | None, typer.Option(min=1, help="Which; else the latest.", show_default=False)
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(help="Only the agent, a hook or a check, by its name.", show_default=False),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as JSON.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The output as the agent wrote it.")] = False,
    errors: Annotated[bool, typer.Option("--stderr", help="Standard error instead.")] = False,
) -> None:
    """Show what happened in a run's attempt: its agent, hooks and checks."""
    from claude_flow.cli import run_logs  # noqa: PLC0415 - loads the database's driver

    session = session_of(context)
    if raw or errors:
        if as_json:
            raise UsageError("--json does not go with --raw and --stderr: these are no events")
        run_logs.output(
            session, run_id=run, number=attempt, part=part, follow=follow, errors=errors
        )
    else:
        run_logs.events(
            session, run_id=run, number=attempt, part=part, follow=follow, as_json=as_json
        )


@app.command()
def cancel(context: typer.Context, run: _RunId) -> None:
    """End a run that is queued or running."""
    _perform(context, "cancel", run_id=run)


@app.command()
def retry(context: typer.Context, run: _RunId, *, as_json: _AsJson = False) -> None:
    """Ask for the work of an ended run again."""
    _perform(context, "retry", run_id=run, as_json=as_json)


def run_now(
    context: typer.Context,
    issue: Annotated[str, typer.Argument(metavar="OWNER/REPO#N", show_default=False)],
    *,
    as_json: _AsJson = False,
) -> None:
    """Work on one issue now, in the foreground, without a daemon."""
    _perform(context, "run_now", issue=issue, as_json=as_json)


def _perform(context: typer.Context, action: str, **options: Any) -> None:
    from claude_flow.cli import run_actions  # noqa: PLC0415 - loads the database's driver

    getattr(run_actions, action)(session_of(context), **options)
