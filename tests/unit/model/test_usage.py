"""What agents used, added up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.errors import UsageError
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Attempt, Reason, Run, RunState, Trigger, TriggerKind, Usage
from claude_flow.model.usage import UsageBy, since_of, usage_of

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def run(issue: str, *attempts: Attempt) -> Run:
    made = Run.queued(IssueRef.parse(issue), Trigger(TriggerKind.LABEL, issue), NOON - 9 * DAY)
    return replace(made, state=RunState.FAILED, attempts=attempts)


def attempt(
    number: int, ended_at: datetime | None, cost_usd: float | None, model: str | None = "opus"
) -> Attempt:
    usage = Usage(turns=2, tokens=100, cost_usd=cost_usd, model=model)
    return Attempt(number, NOON - 9 * DAY, ended_at, Reason.AGENT_FAILED, 1, usage)


RUNS = [
    run("Octo/a#1", attempt(1, NOON - DAY, 1.0), attempt(2, NOON, 2.0, "haiku")),
    run("octo/a#2", attempt(1, NOON, None, None)),
    run("octo/b#1", attempt(1, NOON - 8 * DAY, 40.0), attempt(2, NOON, 5.0)),
    run("octo/b#2", attempt(1, None, None)),
]


def test_by_repository_the_most_expensive_first() -> None:
    report = usage_of(RUNS, by=UsageBy.REPOSITORY, since=NOON - DAY)
    assert [(name, told.runs, told.attempts) for name, told in report.groups] == [
        ("octo/b", 1, 1),
        ("octo/a", 2, 3),
    ]
    assert (report.total.runs, report.total.attempts) == (3, 4)
    assert (report.total.usage.turns, report.total.usage.tokens) == (8, 400)
    assert report.total.usage.cost_usd == pytest.approx(8.0)


def test_by_day_the_latest_first_on_the_day_of_the_end() -> None:
    late = datetime(2026, 1, 30, 23, 59, tzinfo=UTC)
    runs = [*RUNS, run("octo/c#1", attempt(1, late, 0.5))]
    report = usage_of(runs, by=UsageBy.DAY, since=NOON - 9 * DAY)
    told = {name: told.usage.cost_usd for name, told in report.groups}
    assert list(told) == ["2026-01-31", "2026-01-30", "2026-01-23"]
    assert told == pytest.approx({"2026-01-31": 7.0, "2026-01-30": 1.5, "2026-01-23": 40.0})


def test_a_run_counts_in_each_of_its_groups_and_once_in_total() -> None:
    report = usage_of(RUNS[:1], by=UsageBy.MODEL, since=NOON - DAY)
    assert [(name, told.runs) for name, told in report.groups] == [("haiku", 1), ("opus", 1)]
    assert report.total.runs == 1


def test_a_model_that_was_not_told_is_a_group_too() -> None:
    report = usage_of(RUNS, by=UsageBy.MODEL, since=NOON)
    assert report.groups[-1][0] is None
    counted = {"runs": 1, "attempts": 1, "turns": 2, "tokens": 100, "cost_usd": None}
    assert report.to_json()["groups"][-1] == {"model": None, **counted}


moments = st.integers(0, 20).map(lambda hours: NOON - timedelta(hours=7 * hours))
attempts = st.builds(
    attempt,
    st.integers(1, 9),
    st.none() | moments,
    st.none() | st.integers(0, 50).map(float),
    st.none() | st.sampled_from(["opus", "haiku"]),
)
issues = st.sampled_from(["octo/a#1", "octo/a#2", "octo/b#1"])
recorded = st.lists(st.builds(run, issues, attempts, attempts), max_size=6)


@given(recorded, st.sampled_from(UsageBy), moments)
def test_the_groups_are_the_total(runs: list[Run], by: UsageBy, since: datetime) -> None:
    report = usage_of(iter(runs), by=by, since=since)
    told = [group for _, group in report.groups]
    assert sum(group.attempts for group in told) == report.total.attempts
    assert sum(group.usage.tokens or 0 for group in told) == (report.total.usage.tokens or 0)
    assert sum(group.usage.cost_usd or 0 for group in told) == (report.total.usage.cost_usd or 0)
    assert report.total.runs <= sum(group.runs for group in told)
    assert all(group.attempts for group in told)


@pytest.mark.parametrize(
    ("text", "midnight"),
    [
        ("1d", "2026-01-31"),
        ("7d", "2026-01-25"),
        ("2026-01-31", "2026-01-31"),
        ("2024-02-29", "2024-02-29"),
    ],
)
def test_days_begin_at_utc_midnight(text: str, midnight: str) -> None:
    assert since_of(text, NOON) == datetime.fromisoformat(f"{midnight}T00:00:00+00:00")


@pytest.mark.parametrize("text", ["", "0d", "d", "7", "-1d", "1w", "2026-02-30", "2026-02-01"])
def test_what_is_no_past_day_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="7d"):
        since_of(text, NOON)


@given(st.text(max_size=12) | st.from_regex(r"[0-9]{1,5}d", fullmatch=True))
def test_any_text_is_a_past_midnight_or_refused(text: str) -> None:
    try:
        assert since_of(text, NOON) <= NOON
    except UsageError as error:
        assert "like 7d" in str(error)  # noqa: PT017 - either way is fine
