"""Runs as values: their ids and their JSON."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from claude_flow.model.issue import IssueRef, Repository
from claude_flow.model.run import (
    Attempt,
    Phase,
    Reason,
    Run,
    RunState,
    Trigger,
    TriggerKind,
    Usage,
    from_rfc3339,
    run_id,
    to_rfc3339,
)

NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,100}", fullmatch=True).filter(
    lambda name: name not in {".", ".."}
)
REFS = st.builds(
    IssueRef, st.builds(Repository, st.just("acme"), NAMES), st.integers(1, 9_999_999_999)
)
MOMENTS = st.datetimes(
    min_value=datetime(2008, 1, 1),  # noqa: DTZ001 - hypothesis wants it naive
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001 - likewise
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
TRIGGERS = st.builds(
    Trigger,
    st.sampled_from(TriggerKind),
    st.text(min_size=1, max_size=40),
    st.none() | st.text(min_size=1),
    st.none() | MOMENTS,
)
USAGES = st.builds(
    Usage,
    st.none() | st.integers(0),
    st.none() | st.integers(0),
    st.none() | st.floats(0, 1e6, allow_nan=False),
)
ATTEMPTS = st.builds(
    Attempt,
    st.integers(1, 100),
    st.none() | MOMENTS,
    st.none() | MOMENTS,
    st.none() | st.sampled_from(Reason),
    st.none() | st.integers(0, 255),
    USAGES,
)
RUNS = st.builds(
    Run,
    id=st.from_regex(r"[a-z0-9-]{1,60}", fullmatch=True),
    issue=REFS,
    trigger=TRIGGERS,
    created_at=MOMENTS,
    state=st.sampled_from(RunState),
    phase=st.none() | st.sampled_from(Phase),
    reason=st.none() | st.sampled_from(Reason),
    detail=st.none() | st.text(),
    attempts=st.lists(ATTEMPTS, max_size=3).map(tuple),
    pull_request=st.none() | st.text(),
    started_at=st.none() | MOMENTS,
    ended_at=st.none() | MOMENTS,
)


@given(REFS, TRIGGERS)
def test_an_id_fits_a_units_name(ref: IssueRef, trigger: Trigger) -> None:
    found = run_id(ref, trigger)
    assert re.fullmatch(r"[a-z0-9-]{1,60}", found)
    assert re.fullmatch(r"(?:[a-z0-9-]*-)?[0-9]+-[0-9a-f]{10}", found)
    assert not found.startswith("-")


@given(REFS, TRIGGERS, TRIGGERS)
def test_one_request_is_one_id(ref: IssueRef, one: Trigger, other: Trigger) -> None:
    same_request = (one.kind, one.key) == (other.kind, other.key)
    assert (run_id(ref, one) == run_id(ref, other)) == same_request


def test_githubs_names_know_no_case() -> None:
    trigger = Trigger(TriggerKind.LABEL, "7")
    assert run_id(IssueRef.parse("Acme/Widgets#7"), trigger) == run_id(
        IssueRef.parse("acme/widgets#7"), trigger
    )


def test_issues_of_repositories_with_like_names_differ() -> None:
    trigger = Trigger(TriggerKind.LABEL, "7")
    ids = {
        run_id(IssueRef.parse(name), trigger)
        for name in ("acme/a.b#7", "acme/a-b#7", "acme/a_b#7", "other/a-b#7")
    }
    assert len(ids) == 4


@given(RUNS)
def test_a_run_survives_json(run: Run) -> None:
    assert Run.from_json(json.loads(json.dumps(run.to_json()))) == run


@given(MOMENTS)
def test_moments_are_told_in_utc_to_the_millisecond(moment: datetime) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(hours=-7)))
    text = to_rfc3339(elsewhere)
    assert text is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert from_rfc3339(text) == moment
