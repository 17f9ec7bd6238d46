"""What the HTTP API and claude-flowctl say is what the schemas of schemas/ describe."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.config import schema_path
from claude_flow.daemon.events import RunMoment
from claude_flow.model.budgets import Budgets, daily_budgets
from claude_flow.model.events import AgentEvent, Text
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import (
    Attempt,
    Phase,
    Reason,
    Run,
    RunState,
    Trigger,
    TriggerKind,
    Usage,
)
from claude_flow.model.usage import UsageBy, usage_of
from claude_flow.ports import Progress, UnitState
from claude_flow.service.status import HealthStatus, MainProcess, Resources, ServiceStatus

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def document(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(schema_path(f"{name}.schema.json").read_bytes())
    return loaded


def validator(name: str) -> jsonschema_rs.Draft202012Validator:
    referred = [(f"urn:claude-flow:{name}", document(name)) for name in ("run", "agent-event")]
    registry = jsonschema_rs.Registry(referred)
    return jsonschema_rs.Draft202012Validator(document(name), registry=registry)


# Whole seconds since 1970: hypothesis's own datetimes want naive bounds.
times = st.integers(0, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
moments = st.none() | times
counts = st.none() | st.integers(0, 10**9)
usages = st.builds(Usage, counts, counts, st.none() | st.floats(0, 1e6))
reasons = st.none() | st.sampled_from(Reason)
attempts = st.builds(
    Attempt, st.integers(1, 99), moments, moments, reasons, st.none() | st.integers(), usages
)
runs = st.builds(
    Run,
    id=st.just("widgets-7-1f0c5e9a2b"),
    issue=st.just(IssueRef.parse("acme/widgets#7")),
    trigger=st.builds(
        Trigger, st.sampled_from(TriggerKind), st.text(min_size=1), st.none() | st.text(), moments
    ),
    created_at=times,
    state=st.sampled_from(RunState),
    phase=st.none() | st.sampled_from(Phase),
    reason=reasons,
    detail=st.none() | st.text(),
    attempts=st.lists(attempts, max_size=3).map(tuple),
    pull_request=st.none() | st.just("https://github.com/acme/widgets/pull/8"),
    started_at=moments,
    ended_at=moments,
)
printable = st.characters(codec="utf-8")


budgets = st.builds(
    Budgets,
    repository_daily_usd=st.none() | st.floats(0.01, 1e6),
    daily_usd=st.none() | st.floats(0.01, 1e6),
)


@given(st.lists(runs, max_size=4), st.sampled_from(UsageBy), budgets, st.floats(0, 1e6))
def test_usage(recorded: list[Run], by: UsageBy, limits: Budgets, spent_usd: float) -> None:
    since = datetime(1980, 1, 1, tzinfo=UTC)
    left = daily_budgets(limits, {"acme/widgets": spent_usd}, ["Acme/Widgets"], NOW)
    report = usage_of(recorded, by=by, since=since, budgets=left)
    validator("usage").validate(report.to_json())


@given(runs)
def test_runs(run: Run) -> None:
    validator("run").validate(run.to_json())


@given(runs, st.builds(Progress, usages, st.none() | st.text(printable)))
def test_events(run: Run, progress: Progress) -> None:
    for name, data in RunMoment(run, progress).parts:
        validator("event").validate({"event": name, "data": data})


@given(st.text(printable), st.integers(1, 9))
def test_what_happens(text: str, attempt: int) -> None:
    data = AgentEvent(NOW, attempt, "agent", Text(text)).to_json()
    validator("event").validate({"event": "agent", "data": data})


UNIT = UnitState(
    unit="claude-flow.service",
    load="loaded",
    active="active",
    sub="running",
    file="enabled",
    result="success",
    main_pid=5,
    exit_status=None,
    restarts=0,
    status_text="idle",
    active_since=NOW,
)
PROCESS = MainProcess(
    pid=5,
    parent_pid=1,
    name="python",
    cpu_seconds=0.5,
    memory_bytes=10**8,
    started_at=NOW,
    uptime_seconds=7.5,
    children=0,
)


@pytest.mark.parametrize("unit", [UNIT, None])
@pytest.mark.parametrize("process", [PROCESS, None])
@pytest.mark.parametrize(
    "resources",
    [Resources(), Resources(memory_bytes=1, cpu_percent=2.5, oom_kills=0, disk_free_bytes=5)],
)
def test_status(unit: UnitState | None, process: MainProcess | None, resources: Resources) -> None:
    health = HealthStatus("pass", "127.0.0.1:8787", "0.1.0", {"loop:lastTick": []})
    status = ServiceStatus(NOW, unit, None, process, resources, health)
    validator("status").validate(status.to_dict())


@pytest.mark.parametrize("name", ["run", "event", "agent-event", "status"])
def test_they_are_schemas_and_refuse_what_is_not(name: str) -> None:
    jsonschema_rs.meta.validate(document(name))
    assert not validator(name).is_valid({})


def test_the_words_are_the_models() -> None:
    properties = document("run")["properties"]
    assert properties["state"]["enum"] == list(RunState)
    assert properties["phase"]["enum"] == [*Phase, None]
    assert properties["reason"]["enum"] == [*Reason, None]
