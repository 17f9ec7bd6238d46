"""Where the commands read runs: from the daemon, or without one from the record itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from claude_flow.cli.session import Session
from claude_flow.errors import ServiceError, UsageError
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Run, RunState
from claude_flow.model.usage import UsageBy, since_of
from claude_flow.service.client import DaemonClient, DaemonUnreachableError
from claude_flow.service.places import api_token, daemon_address


class RunSource:
    """The runs of this host's service."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def runs(self, states: Sequence[RunState], limit: int) -> list[Run]:
        """Runs, newest first; ``states`` empty means all."""
        try:
            listed = self._client().runs(state=",".join(states) or None, limit=limit)
        except DaemonUnreachableError:
            return self._recorded_runs(states, limit)
        return [Run.from_json(run) for run in listed]

    def run(self, run_id: str) -> Run:
        """One run. Raises UsageError for an unknown id."""
        try:
            return Run.from_json(self._client().run(run_id))
        except DaemonUnreachableError:
            run = self._recorded_run(run_id)
        if run is None:
            raise UsageError(f"there is no run {run_id!r}", hint="see: claude-flowctl runs list")
        return run

    def usage(self, by: UsageBy, since: str, now: datetime) -> dict[str, Any]:
        """What agents used since a day, as JSON. Raises UsageError for one that cannot be."""
        since_of(since, now)
        try:
            return self._client().usage(by=by, since=since)
        except DaemonUnreachableError:
            return self._recorded_usage(by, since, now)

    def cancel(self, run_id: str) -> None:
        """Ask the daemon for a run's end."""
        self._client().cancel(run_id, token=self._token())

    def retry(self, run_id: str) -> Run:
        """Ask the daemon for the same work again; the new run."""
        return Run.from_json(self._client().retry(run_id, token=self._token()))

    def submit(self, issue: IssueRef) -> Run | None:
        """Ask the daemon for a run on the issue; None where no daemon runs."""
        try:
            client = self._client()
            client.health()
        except DaemonUnreachableError as error:
            if error.is_refused:
                return None
            raise
        return Run.from_json(client.submit(str(issue), token=self._token()))

    def _client(self) -> DaemonClient:
        address = daemon_address(self._session.settings, self._session.environ)
        if address is None:
            raise DaemonUnreachableError(
                "no daemon has written its address down",
                is_refused=True,
                hint="start it with: claude-flowctl start",
            )
        return DaemonClient(address)

    def _token(self) -> str:
        return api_token(self._session.settings, self._session.environ)

    def _recorded_runs(self, states: Sequence[RunState], limit: int) -> list[Run]:
        from claude_flow.engine.record import open_record  # noqa: PLC0415 - slow to load

        with _readable(self._session):
            return open_record(*self._database()).runs(states=states, limit=limit)

    def _recorded_run(self, run_id: str) -> Run | None:
        from claude_flow.engine.record import open_record  # noqa: PLC0415 - slow to load

        with _readable(self._session):
            return open_record(*self._database()).get(run_id)

    def _recorded_usage(self, by: UsageBy, since: str, now: datetime) -> dict[str, Any]:
        from claude_flow.engine.record import open_record  # noqa: PLC0415 - slow to load
        from claude_flow.settings import usage_report  # noqa: PLC0415 - likewise

        record = open_record(*self._database())
        with _readable(self._session):
            return usage_report(
                record, self._session.settings, by=by, since=since, now=now
            ).to_json()

    def _database(self) -> tuple[str | None, Path]:
        url: str | None = self._session.settings.get("engine.database_url")
        return url, self._session.state_directory


@contextmanager
def _readable(session: Session) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise ServiceError(
            f"{session.state_directory} may not be read by this user", hint="try it with sudo"
        ) from error
