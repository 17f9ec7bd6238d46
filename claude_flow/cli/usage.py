"""The command that tells what the agents used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from claude_flow.cli.output import say, say_json, say_table
from claude_flow.cli.session import session_of
from claude_flow.model.usage import DEFAULT_SINCE, UsageBy


def usage(
    context: typer.Context,
    *,
    by: Annotated[UsageBy, typer.Option(help="What to tell apart.")] = UsageBy.REPOSITORY,
    since: Annotated[
        str, typer.Option(help="So many days, today among them (7d), or a UTC day (2026-01-31).")
    ] = DEFAULT_SINCE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what ended attempts used: turns, tokens, US dollars; what is left of daily budgets."""
    from claude_flow.cli.run_source import RunSource  # noqa: PLC0415 - loads the HTTP client

    told = RunSource(session_of(context)).usage(by, since, datetime.now(UTC))
    if as_json:
        say_json(told)
        return
    rows = [_row(group[by] or "unknown", group) for group in told["groups"]]
    columns = (by.upper(), "RUNS", "ATTEMPTS", "TURNS", "TOKENS", "USD")
    say_table(columns, [*rows, _row("total", told["total"])])
    if told["budgets"]:
        say("")
        say_table(
            ("BUDGET", "REPOSITORY", "USD", "SPENT", "LEFT", "RESETS"),
            [
                (
                    budget["setting"],
                    budget["repository"],
                    *(f"{budget[name]:.2f}" for name in ("limit_usd", "spent_usd", "left_usd")),
                    budget["resets_at"],
                )
                for budget in told["budgets"]
            ],
        )


def _row(name: str, used: Mapping[str, Any]) -> tuple[object, ...]:
    cost = used["cost_usd"]
    return (
        name,
        *(used[column] for column in ("runs", "attempts", "turns", "tokens")),
        None if cost is None else f"{cost:.4f}",
    )
