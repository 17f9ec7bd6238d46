"""The daemon's HTTP side on loopback: health, metrics, the runs and the page.

It only translates: what is asked goes to a ``ServiceView``, what that answers becomes JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from claude_flow.daemon.answers import RedactedHTML, RedactedJSON
from claude_flow.daemon.events import EventStreams, Pace, RunMoment
from claude_flow.daemon.health import Health, HealthStatus
from claude_flow.daemon.http_guard import SECURITY_HEADERS, ApiToken, Guard, error_response
from claude_flow.daemon.page import ASSETS, render_page
from claude_flow.daemon.snapshot import Snapshot
from claude_flow.errors import EngineError, UsageError
from claude_flow.execution.event_log import EventPosition, ToldEvent
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Run, RunState
from claude_flow.model.usage import DEFAULT_SINCE, UsageBy, UsageReport
from claude_flow.ports import Progress

DEFAULT_LIMIT = 50
MAX_LIMIT = 1000
_RECENT_ON_PAGE = 20
_FINAL_STATES = tuple(state for state in RunState if state.is_final)
_RUN_ID = re.compile(r"[a-z0-9-]{1,60}")
_HEALTH_TYPE = "application/health+json"


class ServiceView(Protocol):
    """What HTTP needs of the daemon.

    ``health``, ``progress`` and ``refresh`` answer at once from memory and are called on the
    daemon's loop. All others may block, are called in threads, and may raise EngineError.
    """

    def health(self) -> Health:
        """The judgement on the latest facts."""
        ...

    def progress(self, run_id: str) -> Progress | None:
        """What the run's agent last said on this host, None if none runs here."""
        ...

    def refresh(self) -> None:
        """Poll at once instead of at the next turn."""
        ...

    def state(self) -> Snapshot:
        """What is going on right now."""
        ...

    def metrics(self) -> bytes | None:
        """Prometheus' text; None if ``monitoring.metrics_enabled`` is false."""
        ...

    def runs(self, states: Sequence[RunState], limit: int) -> list[Run]:
        """Runs, newest first; no ``states`` means all."""
        ...

    def usage(self, by: UsageBy, since: str) -> UsageReport:
        """What agents used since a day. Raises UsageError for one that cannot be."""
        ...

    def run(self, run_id: str) -> Run | None:
        """The run, or None."""
        ...

    def happened(self, run_id: str, after: EventPosition) -> list[ToldEvent]:
        """What happened next in the run's attempts on this host. Raises OSError."""
        ...

    def cancel(self, run_id: str) -> bool:
        """Ask for the end of a run; False if it is final."""
        ...

    def submit(self, issue: IssueRef) -> Run | None:
        """A new run on the issue for this host's operator; None while it has an active run."""
        ...


def create_app(view: ServiceView, api_token: ApiToken, *, pace: Pace | None = None) -> Starlette:
    """The application; its event streams end by ``app.state.streams.close()``."""
    routes = _Routes(view, api_token, pace or Pace())
    app = Starlette(
        routes=routes.table(),
        middleware=[Middleware(Guard)],
        exception_handlers={
            HTTPException: _http_error,
            EngineError: _engine_error,
            Exception: _internal_error,
        },
    )
    app.state.streams = routes.streams
    return app


class _Routes:
    def __init__(self, view: ServiceView, api_token: ApiToken, pace: Pace) -> None:
        self._view = view
        self._api_token = api_token
        self.streams = EventStreams(self._read_moment, view.happened, pace)

    def table(self) -> list[Route]:
        run = "/api/v1/runs/{run_id}"
        return [
            Route("/", self.page),
            Route("/page/{name}", _asset),
            Route("/health", self.health),
            Route("/health/live", self.live),
            Route("/health/ready", self.ready),
            Route("/metrics", self.metrics),
            Route("/api/v1/state", self.state),
            Route("/api/v1/usage", self.usage),
            Route("/api/v1/runs", self.runs),
            Route("/api/v1/runs", self.submit, methods=["POST"]),
            Route(run, self.run),
            Route(f"{run}/events", self.events),
            Route("/api/v1/refresh", self.refresh, methods=["POST"]),
            Route(f"{run}/cancel", self.cancel, methods=["POST"]),
            Route(f"{run}/retry", self.retry, methods=["POST"]),
        ]

    async def page(self, _request: Request) -> Response:
        health = self._view.health()
        try:
            snapshot = await asyncio.to_thread(self._view.state)
            recent = await asyncio.to_thread(self._view.runs, _FINAL_STATES, _RECENT_ON_PAGE)
        except EngineError as error:
            # The page is what people look at when something is wrong: show what there is.
            return RedactedHTML(render_page(health, None, [], fault=str(error)), status_code=503)
        return RedactedHTML(render_page(health, snapshot, recent))

    async def health(self, _request: Request) -> Response:
        health = self._view.health()
        is_fine = health.status is not HealthStatus.FAIL
        return _health_answer(health, is_fine=is_fine)

    async def live(self, _request: Request) -> Response:
        health = self._view.health()
        return _health_answer(health, is_fine=health.is_live)

    async def ready(self, _request: Request) -> Response:
        health = self._view.health()
        return _health_answer(health, is_fine=health.is_ready)

    async def metrics(self, _request: Request) -> Response:
        text = await asyncio.to_thread(self._view.metrics)
        if text is None:
            return error_response(
                404, "metrics_disabled", "metrics are off: monitoring.metrics_enabled is false"
            )
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    async def state(self, _request: Request) -> Response:
        snapshot = await asyncio.to_thread(self._view.state)
        return RedactedJSON(snapshot.to_json())

    async def runs(self, request: Request) -> Response:
        _refuse_unknown_parameters(request, {"state", "limit"})
        states, limit = _states(request), _limit(request)
        runs = await asyncio.to_thread(self._view.runs, states, limit)
        return RedactedJSON({"runs": [run.to_json() for run in runs]})

    async def usage(self, request: Request) -> Response:
        _refuse_unknown_parameters(request, {"by", "since"})
        by, since = _by(request), request.query_params.get("since", DEFAULT_SINCE)
        try:
            report = await asyncio.to_thread(self._view.usage, by, since)
        except UsageError as error:
            raise HTTPException(400, f"since: {error}") from None
        return RedactedJSON(report.to_json())

    async def run(self, request: Request) -> Response:
        run = await self._find(request)
        return RedactedJSON(run.to_json())

    async def events(self, request: Request) -> Response:
        run = await self._find(request)
        moment = self._moment(run)
        after = request.headers.get("last-event-id")
        if await self.streams.is_all_told(moment, after=after):
            # To a browser's EventSource 204 means: there is no more, do not come again.
            return Response(status_code=204)
        if self.streams.is_full:
            return error_response(
                503, "too_many_streams", "too many event streams are open; close some, try again"
            )
        return StreamingResponse(
            self.streams.follow(moment, after=after), media_type="text/event-stream"
        )

    async def refresh(self, request: Request) -> Response:
        self._authorize(request)
        self._view.refresh()
        return RedactedJSON({"accepted": True}, status_code=202)

    async def cancel(self, request: Request) -> Response:
        self._authorize(request)
        run = await self._find(request)
        if not await asyncio.to_thread(self._view.cancel, run.id):
            raise HTTPException(409, f"run {run.id} has already ended")
        after = await self._find(request)
        return RedactedJSON(after.to_json(), status_code=202)

    async def retry(self, request: Request) -> Response:
        self._authorize(request)
        run = await self._find(request)
        if not run.state.is_final:
            raise HTTPException(409, f"run {run.id} is still {run.state}; cancel it first")
        return await self._submit(run.issue)

    async def submit(self, request: Request) -> Response:
        self._authorize(request)
        return await self._submit(_issue(await request.body()))

    async def _submit(self, issue: IssueRef) -> Response:
        run = await asyncio.to_thread(self._view.submit, issue)
        if run is None:
            raise HTTPException(409, f"{issue} already has a run that has not ended")
        headers = {"Location": f"/api/v1/runs/{run.id}"}
        return RedactedJSON(run.to_json(), status_code=202, headers=headers)

    def _authorize(self, request: Request) -> None:
        if not self._api_token.allows(request.headers.get("authorization")):
            raise HTTPException(
                401,
                "this needs the token of the file api-token as 'Authorization: Bearer ...'",
                headers={"WWW-Authenticate": "Bearer"},
            )

    async def _find(self, request: Request) -> Run:
        run_id = request.path_params["run_id"]
        if _RUN_ID.fullmatch(run_id):
            run = await asyncio.to_thread(self._view.run, run_id)
            if run is not None:
                return run
        raise HTTPException(404, f"there is no run {run_id!r}")

    def _read_moment(self, run_id: str) -> RunMoment | None:
        run = self._view.run(run_id)
        return None if run is None else self._moment(run)

    def _moment(self, run: Run) -> RunMoment:
        return RunMoment(run, self._view.progress(run.id) or Progress())


def _health_answer(health: Health, *, is_fine: bool) -> Response:
    return RedactedJSON(
        health.to_json(), status_code=200 if is_fine else 503, media_type=_HEALTH_TYPE
    )


async def _asset(request: Request) -> Response:
    asset = ASSETS.get(request.path_params["name"])
    if asset is None:
        raise HTTPException(404)
    return Response(asset.content, media_type=asset.media_type)


def _issue(body: bytes) -> IssueRef:
    try:
        return IssueRef.parse(json.loads(body)["issue"])
    except UsageError as error:
        raise HTTPException(400, str(error)) from None
    except (ValueError, KeyError, TypeError):
        raise HTTPException(400, 'the body has to be {"issue": "owner/name#7"}') from None


def _refuse_unknown_parameters(request: Request, known: set[str]) -> None:
    unknown = sorted(request.query_params.keys() - known)
    if unknown:
        names = " and ".join(sorted(known))
        raise HTTPException(400, f"unknown parameter {unknown[0]!r}; there are {names}")


def _states(request: Request) -> list[RunState]:
    given = ",".join(request.query_params.getlist("state"))
    try:
        return [RunState(word) for word in given.split(",") if word]
    except ValueError as error:
        words = ", ".join(RunState)
        raise HTTPException(400, f"state: {error}; there are {words}") from None


def _by(request: Request) -> UsageBy:
    try:
        return UsageBy(request.query_params.get("by", UsageBy.REPOSITORY))
    except ValueError as error:
        raise HTTPException(400, f"by: {error}; there are {', '.join(UsageBy)}") from None


def _limit(request: Request) -> int:
    given = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= MAX_LIMIT:
        return int(given)
    raise HTTPException(400, f"limit: {given[:40]!r} is not a whole number from 1 to {MAX_LIMIT}")


_CODES = {
    400: "bad_request",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
}
_MESSAGES = {
    404: "there is nothing at this address",
    405: "this address does not take this method; see the Allow header",
}


def _http_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = error.status_code
    is_bare = error.detail == HTTPException(status).detail
    message = _MESSAGES.get(status, error.detail) if is_bare else error.detail
    headers = dict(error.headers) if error.headers else None
    return error_response(status, _CODES.get(status, "error"), message, headers)


def _engine_error(_request: Request, error: Exception) -> Response:
    return error_response(503, "state_unavailable", f"the database did not answer: {error}")


def _internal_error(_request: Request, _error: Exception) -> Response:
    # The traceback goes to the log; this answer has not passed the guard.
    return error_response(
        500, "internal_error", "the service has a fault; its journal says more", SECURITY_HEADERS
    )
