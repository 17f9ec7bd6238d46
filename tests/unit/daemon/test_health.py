from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.daemon.health import GitHubStatus, HealthFacts, HealthStatus, assess

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
DATABASE_GONE = "connection refused"

faults = st.none() | st.text(min_size=1)
all_facts = st.builds(
    HealthFacts,
    at=st.just(NOW),
    version=st.just("1.2.3"),
    seconds_since_tick=st.floats(0, 1e6),
    tick_limit_seconds=st.floats(0.1, 1e3),
    database_fault=faults,
    github=st.sampled_from(GitHubStatus),
    github_fault=faults,
    configuration_fault=faults,
    disk_free_bytes=st.none() | st.integers(0, 2**50),
    disk_fault=st.none() | st.just("1 MiB is free"),
    held=st.dictionaries(st.just("acme/widgets"), st.text(min_size=1)),
    is_stopping=st.booleans(),
)


@pytest.mark.parametrize(
    ("changes", "status", "is_live", "is_ready"),
    [
        ({}, HealthStatus.PASS, True, True),
        ({"seconds_since_tick": 30}, HealthStatus.PASS, True, True),
        ({"seconds_since_tick": 30.1}, HealthStatus.FAIL, False, False),
        ({"database_fault": DATABASE_GONE}, HealthStatus.FAIL, True, False),
        ({"github": GitHubStatus.UNREACHABLE}, HealthStatus.WARN, True, False),
        ({"held": {"acme/widgets": "a spent budget"}}, HealthStatus.WARN, True, True),
        ({"github": GitHubStatus.UNKNOWN}, HealthStatus.WARN, True, False),
        ({"github": GitHubStatus.REFUSED}, HealthStatus.FAIL, True, False),
        ({"github_fault": "acme/gone: 404"}, HealthStatus.WARN, True, True),
        ({"configuration_fault": "no repositories"}, HealthStatus.WARN, True, True),
        ({"disk_fault": "1 MiB is free"}, HealthStatus.WARN, True, True),
        ({"is_stopping": True}, HealthStatus.PASS, True, False),
    ],
)
def test_one_thing_wrong(
    well: HealthFacts,
    changes: dict[str, Any],
    status: HealthStatus,
    is_live: bool,  # noqa: FBT001 - a column of the table
    is_ready: bool,  # noqa: FBT001 - likewise
) -> None:
    health = assess(replace(well, **changes))
    assert (health.status, health.is_live, health.is_ready) == (status, is_live, is_ready)


def test_json_is_the_health_format(well: HealthFacts) -> None:
    facts = replace(well, github=GitHubStatus.UNREACHABLE, github_fault="no route to host")
    assert assess(facts).to_json() == {
        "status": "warn",
        "version": "1.2.3",
        "checks": {
            "loop:lastTick": [
                {
                    "componentType": "component",
                    "status": "pass",
                    "time": "2026-01-31T12:00:00.000Z",
                    "observedValue": 0.25,
                    "observedUnit": "s",
                }
            ],
            "database:connection": [
                {
                    "componentType": "datastore",
                    "status": "pass",
                    "time": "2026-01-31T12:00:00.000Z",
                }
            ],
            "github:api": [
                {
                    "componentType": "system",
                    "status": "warn",
                    "time": "2026-01-31T12:00:00.000Z",
                    "observedValue": "unreachable",
                    "output": "GitHub is out of reach; the service waits and tries again: "
                    "no route to host",
                }
            ],
            "configuration:reload": [
                {
                    "componentType": "component",
                    "status": "pass",
                    "time": "2026-01-31T12:00:00.000Z",
                }
            ],
            "disk:free": [
                {
                    "componentType": "system",
                    "status": "pass",
                    "time": "2026-01-31T12:00:00.000Z",
                    "observedValue": 5 * 2**30,
                    "observedUnit": "B",
                }
            ],
            "repositories:held": [
                {
                    "componentType": "component",
                    "status": "pass",
                    "time": "2026-01-31T12:00:00.000Z",
                    "observedValue": 0,
                }
            ],
        },
    }


@given(all_facts)
def test_the_whole_is_as_bad_as_its_worst_part(facts: HealthFacts) -> None:
    order = [HealthStatus.PASS, HealthStatus.WARN, HealthStatus.FAIL]
    health = assess(facts)
    assert health.status == max((check.status for check in health.checks), key=order.index)


@given(all_facts)
def test_whatever_does_not_pass_says_why(facts: HealthFacts) -> None:
    for check in assess(facts).checks:
        assert (check.output is None) == (check.status is HealthStatus.PASS)


@given(all_facts)
def test_ready_means_live_and_nothing_failed(facts: HealthFacts) -> None:
    health = assess(facts)
    if health.is_ready:
        assert health.is_live
        assert health.status is not HealthStatus.FAIL
