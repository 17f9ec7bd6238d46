"""What the commands for runs do."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import typer

from claude_flow.cli.output import clean, say, say_fields, say_json, say_table
from claude_flow.cli.run_source import RunSource
from claude_flow.cli.session import Session
from claude_flow.cli.transcript import readable
from claude_flow.errors import EXIT_FAILED, ServiceError, UsageError
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Run, RunState, to_rfc3339
from claude_flow.ports import Progress

_LOOK_SECONDS = 0.3
_CHUNK = 64 * 1024
_RUN_ID = re.compile(r"[a-z0-9-]{1,80}")


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


def logs(
    session: Session, *, run_id: str, number: int | None, follow: bool, raw: bool, errors: bool
) -> None:
    """Print an attempt's output, with ``follow`` until the attempt has ended."""
    source = RunSource(session)
    run = source.run(run_id)
    number = number or run.attempt or 1
    path = _attempt_directory(session, run.id, number) / ("stderr.log" if errors else "stdout.log")

    def is_over() -> bool:
        now = source.run(run_id)
        ended = [attempt.number for attempt in now.attempts if attempt.ended_at is not None]
        return now.state.is_final or number in ended

    if not follow and not _exists(path):
        raise ServiceError(
            f"attempt {number} of {run_id} has left no output at {path}",
            hint="see its attempts with: claude-flowctl runs show " + run_id,
        )
    for line in _lines(path, follow=follow, is_over=is_over):
        for text in [line] if raw else readable(line):
            say(text)


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


def _attempt_directory(session: Session, run_id: str, number: int) -> Path:
    if _RUN_ID.fullmatch(run_id) is None:
        raise UsageError(f"{run_id!r} is not a run's id", hint="see: claude-flowctl runs list")
    return session.state_directory / "runs" / run_id / str(number)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError as error:
        raise _unreadable(path) from error


def _lines(path: Path, *, follow: bool, is_over: Callable[[], bool]) -> Iterator[str]:
    """The file's lines as it grows, until ``is_over`` said so before it was read to its end."""
    held = b""
    position = 0
    while True:
        is_last = not follow or is_over()
        for chunk in _chunks(path, position):
            position += len(chunk)
            *lines, held = (held + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
        if is_last:
            break
        time.sleep(_LOOK_SECONDS)
    if held:
        yield held.decode(errors="replace")


def _chunks(path: Path, position: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(position)
            while chunk := file.read(_CHUNK):
                yield chunk
    except FileNotFoundError:  # not begun yet
        return
    except PermissionError as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> ServiceError:
    return ServiceError(f"{path} may not be read by this user", hint="try it with sudo")
