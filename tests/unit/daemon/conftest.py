"""A served HTTP side over a fake daemon."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from claude_flow.daemon.events import Pace
from claude_flow.daemon.health import GitHubStatus, HealthFacts
from claude_flow.daemon.http import create_app
from claude_flow.daemon.http_guard import ApiToken
from claude_flow.daemon.http_server import RunningServer, serve
from claude_flow.daemon.snapshot import Snapshot
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Attempt, Phase, Reason, Run, RunState, Trigger, TriggerKind
from claude_flow.testing.service_view import FakeServiceView

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
TOKEN = "a-made-up-token"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error_code(self) -> str:
        error = self.json["error"]
        assert set(error) == {"code", "message"}
        assert error["message"]
        return str(error["code"])


Ask = Callable[..., Awaitable[Answer]]


@pytest.fixture
def well() -> HealthFacts:
    """A daemon in which nothing is wrong."""
    return HealthFacts(
        at=NOW,
        version="1.2.3",
        seconds_since_tick=0.25,
        tick_limit_seconds=30,
        github=GitHubStatus.OK,
        disk_free_bytes=5 * 2**30,
    )


@pytest.fixture
def view(well: HealthFacts) -> FakeServiceView:
    snapshot = Snapshot(
        at=NOW,
        version="1.2.3",
        web_url="https://github.example",
        repositories=("acme/widgets",),
        max_concurrent_runs=3,
        uptime_seconds=7500,
        next_poll_seconds=12,
    )
    return FakeServiceView(well, snapshot)


@pytest.fixture
def make_run() -> Callable[..., Run]:
    """Makes the run of issue ``number``, created that many minutes after noon."""

    def make(number: int, state: RunState, **changes: Any) -> Run:
        created_at = NOW + timedelta(minutes=number)
        trigger = Trigger(TriggerKind.LABEL, str(number), "mona")
        run = Run.queued(IssueRef.parse(f"acme/widgets#{number}"), trigger, created_at)
        run = replace(run, state=state)
        if state is not RunState.QUEUED:
            run = replace(run, started_at=created_at, attempts=(Attempt(1, created_at),))
        if state is RunState.RUNNING:
            run = replace(run, phase=Phase.EXECUTING)
        if state.is_final:
            run = replace(run, ended_at=created_at + timedelta(seconds=95))
        if state is RunState.FAILED:
            run = replace(run, reason=Reason.AGENT_FAILED)
        return replace(run, **changes)

    return make


@pytest_asyncio.fixture
async def server(view: FakeServiceView) -> AsyncIterator[RunningServer]:
    pace = Pace(poll_seconds=0.02, heartbeat_seconds=0.2)
    running = await serve(create_app(view, ApiToken(TOKEN), pace=pace), "127.0.0.1", 0)
    yield running
    await running.stop()


@pytest.fixture
def ask(server: RunningServer) -> Ask:
    """Asks the server as another program would: over a socket, with headers of its choice."""

    def send(
        path: str,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection(server.address, timeout=10)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    async def ask(path: str, method: str = "GET", **options: Any) -> Answer:
        return await asyncio.to_thread(send, path, method, **options)

    return ask


@pytest.fixture
def bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}
