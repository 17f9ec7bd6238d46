from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from claude_flow.errors import ServiceError
from claude_flow.ports import JournalLine, UnitState
from claude_flow.service.processes import ProcessStatus
from claude_flow.service.status import (
    HealthStatus,
    MainProcess,
    Resources,
    ServiceStatus,
    Verdict,
    write_status,
)

_SCHEMA = Path(__file__).parents[3] / "schemas" / "status.schema.json"
_VALIDATOR = Draft202012Validator(json.loads(_SCHEMA.read_text()))
_AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
_UNIT = UnitState(
    unit="claude-flow.service",
    load="loaded",
    active="active",
    sub="running",
    file="enabled",
    result="success",
    main_pid=7,
    exit_status=None,
    restarts=0,
    status_text="watching",
    active_since=_AT,
)


_MAIN = MainProcess(
    pid=7,
    parent_pid=1,
    name="claude-flow",
    cpu_percent=0.1,
    started_at=_AT,
    uptime_seconds=1.5,
    children=1,
)


def status_of(unit: UnitState | None, health: str) -> ServiceStatus:
    error = None if unit else "no bus"
    return ServiceStatus(_AT, unit, error, None, Resources(), HealthStatus(health))


@pytest.mark.parametrize(
    ("active", "health", "verdict"),
    [
        ("active", "pass", Verdict.HEALTHY),
        ("active", "warn", Verdict.HEALTHY),
        ("reloading", "pass", Verdict.HEALTHY),
        ("active", "fail", Verdict.UNHEALTHY),
        ("active", "refused", Verdict.UNHEALTHY),
        ("active", "silent", Verdict.UNHEALTHY),
        ("activating", "refused", Verdict.UNHEALTHY),
        ("inactive", "refused", Verdict.STOPPED),
        ("failed", "refused", Verdict.STOPPED),
        ("inactive", "pass", Verdict.HEALTHY),
        (None, "pass", Verdict.HEALTHY),
        (None, "fail", Verdict.UNHEALTHY),
        (None, "refused", Verdict.STOPPED),
        (None, "silent", Verdict.UNKNOWN),
        (None, "unknown", Verdict.UNKNOWN),
    ],
)
def test_the_sum_of_it(active: str | None, health: str, verdict: Verdict) -> None:
    unit = None if active is None else replace(_UNIT, active=active)
    assert status_of(unit, health).verdict is verdict


def test_a_unit_that_is_not_installed_tells_nothing() -> None:
    unit = replace(_UNIT, load="not-found", active="inactive")
    assert status_of(unit, "refused").verdict is Verdict.STOPPED
    assert status_of(unit, "silent").verdict is Verdict.UNKNOWN


@given(st.sampled_from(["pass", "warn", "fail", "refused", "silent", "unknown"]), st.booleans())
def test_every_status_is_as_its_schema_says(health: str, has_unit: bool) -> None:  # noqa: FBT001
    plain = ProcessStatus(pid=8, parent_pid=7, name="git")
    status = replace(
        status_of(_UNIT if has_unit else None, health),
        process=_MAIN,
        processes=(plain,),
        journal=(JournalLine(_AT, 3, "claude-flow", "it hurts", "run-1"),),
    )
    told = json.loads(json.dumps(status.to_dict()))
    _VALIDATOR.validate(told)
    assert told["at"] == "2026-01-31T12:00:00.000Z"
    assert told["health"]["status"] == health
    assert (told["unit"] is not None) == has_unit
    assert told["process"]["pid"] == 7


def test_the_file_is_replaced_as_a_whole_and_read_by_all(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_text("old")
    with path.open() as reader:
        write_status(path, status_of(_UNIT, "pass"))
        assert reader.read() == "old", "who reads meanwhile sees the old one whole"
    assert json.loads(path.read_text())["verdict"] == "healthy"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["status.json"]


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("keep")
    (tmp_path / "status.json").symlink_to(victim)
    write_status(tmp_path / "status.json", status_of(None, "refused"))
    assert victim.read_text() == "keep"
    assert not (tmp_path / "status.json").is_symlink()


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"gone/status\.json cannot be written: No such file"):
        write_status(tmp_path / "gone" / "status.json", status_of(None, "refused"))
