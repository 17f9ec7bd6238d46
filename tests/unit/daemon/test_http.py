from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from claude_flow.daemon.health import GitHubStatus
from claude_flow.errors import EngineError
from claude_flow.model.run import Attempt, Run, RunState, Usage
from claude_flow.ports import Progress, RateLimit
from claude_flow.testing.service_view import FakeServiceView

Ask = Callable[..., Awaitable[Any]]
MakeRun = Callable[..., Run]


def record(view: FakeServiceView, *runs: Run) -> None:
    view.recorded.update({run.id: run for run in runs})


# --- health and metrics ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "health", "live", "ready"),
    [
        ({}, 200, 200, 200),
        ({"github": GitHubStatus.UNREACHABLE}, 200, 200, 503),
        ({"github": GitHubStatus.REFUSED}, 503, 200, 503),
        ({"database_fault": "disk is full"}, 503, 200, 503),
        ({"seconds_since_tick": 999}, 503, 503, 503),
    ],
)
async def test_health_statuses(
    view: FakeServiceView, ask: Ask, changes: dict[str, Any], health: int, live: int, ready: int
) -> None:
    view.facts = replace(view.facts, **changes)
    answers = [await ask(path) for path in ("/health", "/health/live", "/health/ready")]
    assert [answer.status for answer in answers] == [health, live, ready]
    assert {answer.headers["content-type"] for answer in answers} == {"application/health+json"}
    assert answers[0].json == view.health().to_json()


async def test_health_needs_no_database(view: FakeServiceView, ask: Ask) -> None:
    view.fault = EngineError("the database is away")
    assert (await ask("/health")).status == 200
    assert (await ask("/health/live")).status == 200


async def test_metrics_in_prometheus_text(view: FakeServiceView, ask: Ask) -> None:
    view.metrics_text = b"claude_flow_polls_total 1.0\n"
    answer = await ask("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.body == b"claude_flow_polls_total 1.0\n"


async def test_metrics_switched_off(view: FakeServiceView, ask: Ask) -> None:
    view.metrics_text = None
    answer = await ask("/metrics")
    assert (answer.status, answer.error_code) == (404, "metrics_disabled")


# --- reading ---------------------------------------------------------------------------------


async def test_state(view: FakeServiceView, ask: Ask, make_run: MakeRun) -> None:
    running, queued = make_run(1, RunState.RUNNING), make_run(2, RunState.QUEUED)
    record(view, running, queued, make_run(3, RunState.FAILED))
    view.agents[running.id] = Progress(Usage(7, 12345, 0.42), "edited src/app.py")
    view.snapshot = replace(view.snapshot, rate_limit=RateLimit(5000, 4321, view.snapshot.at))

    state = (await ask("/api/v1/state")).json

    assert state["counts"] == {
        "queued": 1,
        "running": 1,
        "succeeded": 0,
        "failed": 1,
        "cancelled": 0,
    }
    assert state["running"] == [
        {
            **running.to_json(),
            "turns": 7,
            "tokens": 12345,
            "cost_usd": 0.42,
            "last_event": "edited src/app.py",
            "seconds": 72.4,
        }
    ]
    assert state["queue"] == [queued.to_json()]
    assert state["rate_limit"] == {
        "limit": 5000,
        "remaining": 4321,
        "resets_at": "2026-01-31T12:00:00.000Z",
    }


async def test_usage(view: FakeServiceView, ask: Ask, make_run: MakeRun) -> None:
    ended = make_run(1, RunState.FAILED)
    used = Attempt(1, ended.created_at, ended.ended_at, usage=Usage(7, 12345, 0.42))
    record(view, replace(ended, attempts=(used,)))
    usage = (await ask("/api/v1/usage?by=day&since=2026-01-31")).json
    numbers = {"runs": 1, "attempts": 1, "turns": 7, "tokens": 12345, "cost_usd": 0.42}
    assert (usage["by"], usage["since"]) == ("day", "2026-01-31T00:00:00.000Z")
    assert usage["groups"] == [{"day": "2026-01-31", **numbers}]
    assert usage["total"] == numbers
    assert (await ask("/api/v1/usage")).json["groups"] == [
        {"repository": "acme/widgets", **numbers}
    ]


@pytest.mark.parametrize("query", ["by=moon", "since=soon", "since=2999-01-01", "until=1d"])
async def test_usage_of_what_cannot_be(ask: Ask, query: str) -> None:
    answer = await ask(f"/api/v1/usage?{query}")
    assert (answer.status, answer.error_code) == (400, "bad_request")
    assert query.partition("=")[0] in answer.json["error"]["message"]


async def test_runs_newest_first_and_by_state(
    view: FakeServiceView, ask: Ask, make_run: MakeRun
) -> None:
    old, middle, new = (
        make_run(1, RunState.FAILED),
        make_run(2, RunState.RUNNING),
        make_run(3, RunState.QUEUED),
    )
    record(view, old, middle, new)

    async def ids(query: str) -> list[str]:
        return [run["id"] for run in (await ask(f"/api/v1/runs{query}")).json["runs"]]

    assert await ids("") == [new.id, middle.id, old.id]
    assert await ids("?limit=1") == [new.id]
    assert await ids("?state=failed") == [old.id]
    assert await ids("?state=failed&state=queued") == [new.id, old.id]
    assert await ids("?state=failed,running") == [middle.id, old.id]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A3", "limit"),
        ("state=done", "state"),
        ("states=failed", "states"),
    ],
)
async def test_bad_queries_say_what_is_wrong(ask: Ask, query: str, named: str) -> None:
    answer = await ask(f"/api/v1/runs?{query}")
    assert (answer.status, answer.error_code) == (400, "bad_request")
    assert named in answer.json["error"]["message"]


async def test_one_run(view: FakeServiceView, ask: Ask, make_run: MakeRun) -> None:
    run = make_run(1, RunState.FAILED)
    record(view, run)
    answer = await ask(f"/api/v1/runs/{run.id}")
    assert (answer.status, answer.json) == (200, run.to_json())


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api/v1/runs/widgets-7-0000000000",
        "/api/v1/runs/%27%20or%201=1",
        "/api/v1/runs/" + "a" * 61,
        "/page/../__init__.py",
        "/page/index.html",
        "/webhook/github",
    ],
)
async def test_what_is_not_there(ask: Ask, path: str) -> None:
    answer = await ask(path)
    assert (answer.status, answer.error_code) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/health", "GET"),
        ("DELETE", "/api/v1/runs/x", "GET"),
        ("GET", "/api/v1/refresh", "POST"),
        ("OPTIONS", "/api/v1/state", "GET"),
    ],
)
async def test_wrong_methods(ask: Ask, method: str, path: str, allowed: str) -> None:
    answer = await ask(path, method)
    assert (answer.status, answer.error_code) == (405, "method_not_allowed")
    assert allowed in answer.headers["allow"]


async def test_database_away(view: FakeServiceView, ask: Ask) -> None:
    view.fault = EngineError("no answer within 5 s", hint="is PostgreSQL up?")
    answer = await ask("/api/v1/runs")
    assert (answer.status, answer.error_code) == (503, "state_unavailable")
    assert "is PostgreSQL up?" in answer.json["error"]["message"]
    page = await ask("/")
    assert page.status == 503
    assert "no answer within 5 s" in page.body.decode()


async def test_the_database_is_never_read_on_the_loop(view: FakeServiceView, ask: Ask) -> None:
    for path in ("/", "/metrics", "/api/v1/state", "/api/v1/runs", "/api/v1/runs/x"):
        await ask(path)
    assert view.threads
    assert "MainThread" not in view.threads


# --- changing --------------------------------------------------------------------------------


async def test_changes_need_the_token(
    view: FakeServiceView, ask: Ask, make_run: MakeRun, bearer: dict[str, str]
) -> None:
    run = make_run(1, RunState.RUNNING)
    record(view, run)
    wrong: tuple[dict[str, str], ...] = (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": bearer["Authorization"].replace("Bearer", "Basic")},
        {"Authorization": bearer["Authorization"] + "x"},
    )
    for path in ("refresh", f"runs/{run.id}/cancel", f"runs/{run.id}/retry", "runs/x/cancel"):
        for headers in wrong:
            answer = await ask(f"/api/v1/{path}", "POST", headers=headers)
            assert (answer.status, answer.error_code) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
    assert view.refreshes == 0
    assert view.recorded == {run.id: run}


async def test_refresh(view: FakeServiceView, ask: Ask, bearer: dict[str, str]) -> None:
    answer = await ask("/api/v1/refresh", "POST", headers=bearer)
    assert answer.status == 202
    assert view.refreshes == 1


async def test_cancel_then_retry(
    view: FakeServiceView, ask: Ask, make_run: MakeRun, bearer: dict[str, str]
) -> None:
    run = make_run(1, RunState.RUNNING)
    record(view, run)
    cancel, retry = (f"/api/v1/runs/{run.id}/{verb}" for verb in ("cancel", "retry"))

    too_early = await ask(retry, "POST", headers=bearer)
    assert (too_early.status, too_early.error_code) == (409, "conflict")

    cancelled = await ask(cancel, "POST", headers=bearer)
    assert (cancelled.status, cancelled.json["state"]) == (202, "cancelled")
    assert (await ask(cancel, "POST", headers=bearer)).status == 409

    retried = await ask(retry, "POST", headers=bearer)
    assert (retried.status, retried.json["state"]) == (202, "queued")
    assert (await ask(retried.headers["location"])).json == retried.json

    assert (await ask(retry, "POST", headers=bearer)).status == 409, "the issue has a run now"
    unknown = await ask("/api/v1/runs/no-such-run/cancel", "POST", headers=bearer)
    assert unknown.status == 404


@pytest.mark.parametrize("path", ["", "api/v1/runs", "api/v1/runs/{id}", "api/v1/runs/{id}/events"])
async def test_no_answer_shows_a_token(
    view: FakeServiceView, ask: Ask, make_run: MakeRun, path: str
) -> None:
    token = "ghp_" + "a1B2" * 9
    run = replace(make_run(1, RunState.FAILED), detail=f"git said: {token}")
    record(view, run)

    answer = await ask("/" + path.format(id=run.id))
    assert answer.status == 200
    assert token.encode() not in answer.body
    assert b"git said: ***" in answer.body or path == ""


async def test_ask_for_a_run(view: FakeServiceView, ask: Ask, bearer: dict[str, str]) -> None:
    def body(value: object) -> bytes:
        return json.dumps(value).encode()

    asked = await ask("/api/v1/runs", "POST", headers=bearer, body=body({"issue": "octo/new#9"}))
    assert (asked.status, asked.json["issue"], asked.json["state"]) == (202, "octo/new#9", "queued")
    assert (await ask(asked.headers["location"])).json == asked.json

    again = await ask("/api/v1/runs", "POST", headers=bearer, body=body({"issue": "octo/new#9"}))
    assert again.status == 409
    for wrong in (b"", b"{", b"[]", body({}), body({"issue": 7}), body({"issue": "no issue"})):
        refused = await ask("/api/v1/runs", "POST", headers=bearer, body=wrong)
        assert (refused.status, refused.error_code) == (400, "bad_request"), wrong
    assert (await ask("/api/v1/runs", "POST", body=body({"issue": "octo/x#1"}))).status == 401
    assert len(view.recorded) == 1
