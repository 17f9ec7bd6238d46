"""What the commands for runs do."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import typer

from claude_flow.cli.output import clean, say, say_fields, say_json, say_table
from claude_flow.cli.run_source import RunSource
from claude_flow.cli.session import Session
from claude_flow.errors import EXIT_FAILED
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Run, RunState, to_rfc3339
from claude_flow.ports import Progress

_LOOK_SECONDS = 0.3


def list_runs(session: Session, *, states: Sequence[RunState], limit: int, as_json: bool) -> None:
    """Print the runs."""
    runs = RunSource(session).runs(states, limit)
    if as_json:
        say_json({"runs": [run.to_json() for run in runs]})
        return
    rows = [
        (
            run.id,
            run.issue,
            run.state,
            run.reason or run.phase,
            run.attempt,
            to_rfc3339(run.created_at),
            run.pull_request,
        )
        for run in runs
    ]
    say_table(("RUN", "ISSUE", "STATE", "WHY", "ATTEMPT", "CREATED", "PULL REQUEST"), rows)


def show(session: Session, *, run_id: str, as_json: bool) -> None:
    """Print one run."""
    run = RunSource(session).run(run_id)
    if as_json:
        say_json(run.to_json())
        return
    _say_run(run)
    workspace = _kept_workspace(session, run)
    if workspace is not None:
        say_fields([("workspace", workspace)])
    if run.attempts:
        say("")
        say_table(
            ("ATTEMPT", "REASON", "STARTED", "ENDED", "EXIT", "TURNS", "TOKENS", "USD"),
            [
                (
                    attempt.number,
                    attempt.reason,
                    to_rfc3339(attempt.started_at),
                    to_rfc3339(attempt.ended_at),
                    attempt.exit_code,
                    attempt.usage.turns,
                    attempt.usage.tokens,
                    attempt.usage.cost_usd,
                )
                for attempt in run.attempts
            ],
        )


def cancel(session: Session, *, run_id: str) -> None:
    """Cancel and say so."""
    RunSource(session).cancel(run_id)
    say(f"the end of {run_id} was asked for")


def retry(session: Session, *, run_id: str, as_json: bool) -> None:
    """Ask again and say what came of it."""
    run = RunSource(session).retry(run_id)
    if as_json:
        say_json(run.to_json())
    else:
        say(f"{run.id} is {run.state} for {run.issue}")


def run_now(session: Session, *, issue: str, as_json: bool) -> None:
    """Take the issue to its outcome; leave with 1 unless it is a pull request.

    A running daemon does the work; without one it is done here.
    """
    source = RunSource(session)
    asked = source.submit(IssueRef.parse(issue))
    run = _run_here(session, issue) if asked is None else _follow(source, asked)
    if as_json:
        say_json(run.to_json())
    else:
        _say_run(run)
    if run.state is not RunState.SUCCEEDED:
        raise typer.Exit(EXIT_FAILED)


def _run_here(session: Session, issue: str) -> Run:
    from claude_flow.runner import WorkflowRunner  # noqa: PLC0415 - loads the whole engine

    runner = WorkflowRunner(session.config, environ=session.environ, on_change=_say_change)
    return runner.run(issue).run


def _follow(source: RunSource, run: Run) -> Run:
    told = None
    while not run.state.is_final:
        if (run.state, run.phase, run.attempt) != told:
            told = (run.state, run.phase, run.attempt)
            _say_change(run, Progress())
        time.sleep(_LOOK_SECONDS)
        run = source.run(run.id)
    return run


def _say_change(run: Run, progress: Progress) -> None:
    parts = [str(run.phase or run.state)]
    if run.attempt > 1:
        parts.append(f"attempt {run.attempt}")
    if progress.usage.turns is not None:
        parts.append(f"{progress.usage.turns} turns")
    if progress.last_event:
        parts.append(progress.last_event)
    # Standard output is the outcome's alone.
    sys.stderr.write(clean(f"{run.issue}: {', '.join(parts)}") + "\n")


def _kept_workspace(session: Session, run: Run) -> Path | None:
    """Where the run's files are, if they are still there and this user may see that."""
    path = Path(session.settings.get("service.workspace_root")) / run.id
    try:
        return path if path.is_dir() else None
    except PermissionError:
        return None


def _say_run(run: Run) -> None:
    say_fields(
        [
            ("run", run.id),
            ("issue", run.issue),
            (
                "trigger",
                f"{run.trigger}" + (f" by {run.trigger.actor}" if run.trigger.actor else ""),
            ),
            ("state", run.state),
            ("phase", run.phase),
            ("reason", run.reason),
            ("detail", run.detail),
            ("pull request", run.pull_request),
            ("created", to_rfc3339(run.created_at)),
            ("started", to_rfc3339(run.started_at)),
            ("ended", to_rfc3339(run.ended_at)),
        ]
    )
