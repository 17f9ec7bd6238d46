"""How doctor judges what it saw."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from claude_flow.bootstrap import open_record
from claude_flow.cli.doctor import configuration, database, github, host, programs, systemd
from claude_flow.cli.doctor.finding import Finding, Grade, told
from claude_flow.cli.doctor.programs import Said
from claude_flow.config import ConfigManager
from claude_flow.errors import GitHubError
from claude_flow.execution.sandbox import Network, SandboxMode, SandboxSettings, Trial
from claude_flow.execution.unit_limits import UnitLimits
from claude_flow.model.issue import Repository
from claude_flow.ports import RateLimit, RepositoryInfo, UnitState, UnitUsage
from claude_flow.workspace import Space

_NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
_WIDGETS = Repository("acme", "widgets")
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
    status_text=None,
    active_since=_NOW,
)


def grades(findings: object) -> list[Grade]:
    assert isinstance(findings, list)
    return [finding.grade for finding in findings]


@pytest.mark.parametrize(
    ("mode", "owner", "expected"),
    [
        (0o640, 0, []),
        (0o600, 1000, []),
        (0o640, 1001, [Grade.WARN]),
        (0o660, 0, [Grade.FAIL]),
        (0o646, 1001, [Grade.FAIL, Grade.WARN]),
    ],
)
def test_who_may_change_the_configuration(mode: int, owner: int, expected: list[Grade]) -> None:
    access = configuration.Access(Path("/etc/claude-flow/config.json"), mode, owner)
    found = list(configuration.judge_configuration_file(access, user=1000))
    assert grades(found) == expected
    assert all(f"{access.path}" in (finding.hint or "") for finding in found)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (0o600, []),
        (0o440, []),
        (0o700, []),
        (0o620, [Grade.WARN]),
        (0o604, [Grade.FAIL]),
        (0o755, [Grade.FAIL]),
    ],
)
def test_who_may_reach_a_secret(mode: int, expected: list[Grade]) -> None:
    access = configuration.Access(Path("/etc/claude-flow/credentials/github-token"), mode, 0)
    assert grades(list(configuration.judge_secret(access))) == expected


@pytest.mark.parametrize(
    ("said", "grade"),
    [
        (Said("/usr/bin/git", 0, "git version 2.39.5"), Grade.FINE),
        (Said("/usr/bin/git", 0, "git version 2.51.0.rc1"), Grade.FINE),
        (Said("/usr/bin/git", 0, "git version 2.30.2"), Grade.FAIL),
        (Said("/usr/bin/git", 127, "error while loading shared libraries"), Grade.FAIL),
        (Said("/usr/bin/git", 0, ""), Grade.FAIL),
        (None, Grade.FAIL),
    ],
)
def test_git(said: Said | None, grade: Grade) -> None:
    assert programs.judge_git(said).grade is grade


@pytest.mark.parametrize(
    ("said", "grade"),
    [
        (Said("node", 0, "v20.19.2"), Grade.FINE),
        (Said("node", 0, "v18.20.4"), Grade.FAIL),
        (Said("node", 1, ""), Grade.FAIL),
        (None, Grade.FAIL),
    ],
)
def test_node(said: Said | None, grade: Grade) -> None:
    assert programs.judge_node(said).grade is grade


@pytest.mark.parametrize(
    ("said", "wanted", "grade"),
    [
        (Said("claude-flow", 0, "claude-flow v3.43.0"), "3.43.0", Grade.FINE),
        (Said("claude-flow", 0, "v2.7.0-alpha.10"), "2.7.0-alpha.10", Grade.FINE),
        (Said("claude-flow", 0, "claude-flow v3.42.9"), "3.43.0", Grade.WARN),
        (Said("claude", 0, "2.1.330 (Claude Code)"), None, Grade.FINE),
        (Said("claude", 1, "Killed"), None, Grade.WARN),
        (None, "3.43.0", Grade.FAIL),
    ],
)
def test_the_agents_release(said: Said | None, wanted: str | None, grade: Grade) -> None:
    assert programs.judge_version("agent", said, wanted).grade is grade


def test_a_sandbox_that_is_missing_fails_only_where_it_is_needed() -> None:
    works = Trial("/usr/bin/bwrap", "/usr/bin/env")
    refused = replace(works, fault="setting up uid map: not permitted", hint="allow it")
    missing = Trial(None, "/usr/bin/env", "bubblewrap is not installed", "install it")
    auto = SandboxSettings()
    needed = (
        SandboxSettings(mode=SandboxMode.REQUIRED),
        SandboxSettings(network=Network.CLOSED),
        SandboxSettings(network=Network.HOSTS, hosts=("example.org",)),
    )
    for settings in (auto, *needed):
        assert programs.judge_trial(works, settings).grade is Grade.FINE
    for trial in (refused, missing):
        finding = programs.judge_trial(trial, auto)
        assert finding.grade is Grade.WARN
        assert str(trial.fault) in finding.text
        assert str(trial.hint) in str(finding.hint)
        for settings in needed:
            assert programs.judge_trial(trial, settings).grade is Grade.FAIL


def test_room(tmp_path: Path) -> None:
    def space(free_bytes: int) -> Finding:
        return host.judge_space(Space(Path("/var/lib/claude-flow"), free_bytes, 2 * 1024**3))

    assert space(50 * 1024**3).grade is Grade.FINE
    assert space(1024**3).grade is Grade.FAIL
    here = os.statvfs(tmp_path)
    used_up = os.statvfs_result((*here[:5], 1000, 10, 10, *here[8:]))
    assert grades(list(host.judge_inodes(tmp_path, used_up))) == [Grade.WARN]
    plenty = os.statvfs_result((*here[:5], 1000, 900, 900, *here[8:]))
    assert not list(host.judge_inodes(tmp_path, plenty))


@pytest.mark.parametrize(
    ("seconds", "grade"),
    [(0, Grade.FINE), (29, Grade.FINE), (-31, Grade.WARN), (299, Grade.WARN), (301, Grade.FAIL)],
)
def test_the_clock(seconds: int, grade: Grade) -> None:
    finding = github.judge_clock(_NOW + timedelta(seconds=seconds), _NOW)
    assert finding.grade is grade
    if grade is not Grade.FINE:
        assert ("behind" if seconds < 0 else "ahead") in finding.text
        assert f"{abs(seconds)} s" in finding.text


@pytest.mark.parametrize(
    ("scopes", "grade"),
    [
        (("repo", "workflow"), Grade.FINE),
        (("public_repo",), Grade.WARN),
        (("read:org",), Grade.FAIL),
        ((), Grade.FAIL),
    ],
)
def test_a_classic_tokens_scopes(scopes: tuple[str, ...], grade: Grade) -> None:
    assert github.judge_scopes(scopes).grade is grade


def test_the_budget_of_requests() -> None:
    assert github.judge_rate(None).grade is Grade.FINE
    assert github.judge_rate(RateLimit(5000, 4000, _NOW)).grade is Grade.FINE
    low = github.judge_rate(RateLimit(5000, 100, _NOW))
    assert (low.grade, "100 of 5000" in low.text) == (Grade.WARN, True)


@pytest.mark.parametrize(
    ("changes", "may_push", "grade", "word"),
    [
        ({}, True, Grade.FINE, "pushed to"),
        ({}, None, Grade.FINE, "can be read"),
        ({}, False, Grade.FAIL, "nothing can be pushed"),
        ({"is_archived": True}, True, Grade.FAIL, "archived"),
        ({"repository": Repository("acme", "gadgets")}, True, Grade.WARN, "called acme/gadgets"),
    ],
)
def test_a_repository(
    changes: dict[str, object],
    may_push: bool | None,  # noqa: FBT001 - a case
    grade: Grade,
    word: str,
) -> None:
    found = replace(RepositoryInfo(_WIDGETS, "main", is_archived=False), **changes)  # type: ignore[arg-type]  # cases
    finding = github.judge_repository(_WIDGETS, found, may_push=may_push)
    assert finding.grade is grade
    assert word in finding.text


@pytest.mark.parametrize(
    ("unit", "grade", "hint"),
    [
        (_UNIT, Grade.FINE, None),
        (None, Grade.WARN, "nothing restarts"),
        (replace(_UNIT, load="not-found"), Grade.FAIL, "playbook"),
        (replace(_UNIT, active="inactive"), Grade.FAIL, "claude-flowctl start"),
        (replace(_UNIT, active="failed", result="watchdog"), Grade.FAIL, "claude-flowctl logs"),
        (replace(_UNIT, file="disabled"), Grade.WARN, "claude-flowctl enable"),
        (replace(_UNIT, restarts=3), Grade.WARN, "claude-flowctl logs"),
    ],
)
def test_the_unit(unit: UnitState | None, grade: Grade, hint: str | None) -> None:
    [finding] = systemd.judge_unit(unit, "no bus", "claude-flow.service")
    assert finding.grade is grade
    assert (hint or "") in (finding.hint or "")


def test_the_right_to_start_attempts() -> None:
    assert systemd.judge_right("the service", may=True).grade is Grade.FINE
    assert systemd.judge_right("the service", may=False).grade is Grade.FAIL
    assert systemd.judge_right("mallory", may=None).grade is Grade.WARN
    assert systemd.judge_template(replace(_UNIT, load="not-found")).grade is Grade.FAIL


def test_the_limits_of_attempts() -> None:
    wanted = UnitLimits(memory_max_bytes=2**31, cpu_quota_percent=200, tasks_max=512)
    unit = UnitUsage(memory_max_bytes=2**31, cpu_quota_percent=200.0, tasks_max=512)
    assert systemd.judge_limits(wanted, unit).grade is Grade.FINE
    finding = systemd.judge_limits(wanted, replace(unit, memory_max_bytes=2**30))
    assert (finding.grade, finding.check) == (Grade.WARN, "limits")
    assert "execution.memory_max_bytes is 2147483648, the unit has 1073741824" in finding.text
    assert finding.hint is not None


def test_a_database_is_named_without_its_password() -> None:
    assert database.place(None, Path("/var/lib/claude-flow")) == "SQLite in /var/lib/claude-flow"
    url = "postgresql://flow:hunter2@db.example.org:5433/flow?sslmode=require"
    assert database.place(url, Path("/x")) == "PostgreSQL at db.example.org:5433/flow"


def test_an_error_is_a_finding_with_its_hint() -> None:
    def look() -> list[Finding]:
        raise GitHubError("it does not answer", hint="wait")

    [finding] = told("github", look)
    assert (finding.grade, finding.text, finding.hint) == (Grade.FAIL, "it does not answer", "wait")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Said("/usr/bin/git-lfs", 0, "git-lfs/3.3.0 (GitHub; linux amd64; go 1.19.8)"), Grade.FINE),
        (Said("/usr/bin/git-lfs", 1, "cannot execute"), Grade.FAIL),
        (None, Grade.FAIL),
    ],
)
def test_git_lfs(said: Said | None, expected: Grade) -> None:
    finding = programs.judge_git_lfs(said)
    assert finding.grade is expected
    assert (finding.hint is None) == (expected is Grade.FINE)


@pytest.mark.parametrize("sees_secrets", [True, False])
def test_a_database_that_is_hidden_is_not_taken_for_an_empty_one(
    tmp_path: Path, *, sees_secrets: bool
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"service": {"state_directory": str(tmp_path)}}), encoding="utf-8")
    config = ConfigManager.load(path, environ={})
    (finding,) = database.check(config, sees_secrets=sees_secrets)
    assert (finding.grade is Grade.WARN) is not sees_secrets
    open_record(config).prepare()
    (finding,) = database.check(config, sees_secrets=False)
    assert finding.text == f"SQLite in {tmp_path} can be read and holds no run yet"
