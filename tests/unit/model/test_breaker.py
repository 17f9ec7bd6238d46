"""When equal failures stop a repository, and when no more."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from claude_flow.model.breaker import BreakerPolicy, open_breaker
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Attempt, Reason, Run, Trigger, TriggerKind
from claude_flow.model.transitions import RunEnded, apply

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
THREE = BreakerPolicy(failures=3, pause_seconds=600)
ENDED = sorted(set(Reason) - {Reason.ATTEMPTS_EXHAUSTED})


def ended(*reasons: Reason) -> list[Run]:
    """Runs that ended one after another, a minute apart, in the order given."""
    return [
        apply(
            Run.queued(
                IssueRef.parse(f"acme/widgets#{number}"), Trigger(TriggerKind.LABEL, "1"), START
            ),
            RunEnded(reason, START + timedelta(minutes=number)),
        )
        for number, reason in enumerate(reasons, 1)
    ]


def exhausted(last: Reason) -> Run:
    (run,) = ended(Reason.ATTEMPTS_EXHAUSTED)
    attempts = (Attempt(1, reason=Reason.TIMED_OUT), Attempt(2, reason=last))
    return Run.from_json({**run.to_json(), "attempts": [a.to_json() for a in attempts]})


def test_it_opens_at_the_last_of_the_equal_failures_and_closes_by_time() -> None:
    runs = ended(*[Reason.AGENT_FAILED] * 3)
    now = START + timedelta(minutes=4)
    assert open_breaker(runs[:2], THREE, now) is None
    breaker = open_breaker(runs, THREE, now)
    assert breaker is not None
    assert breaker.until == START + timedelta(minutes=13)
    assert "3 runs in a row have failed here as agent failed" in breaker.why
    assert "2026-01-31 12:13 UTC" in breaker.why
    assert open_breaker(runs, THREE, breaker.until) is None


def test_after_the_pause_one_more_equal_failure_opens_it_again() -> None:
    late = START + timedelta(minutes=60)
    (another,) = ended(Reason.AGENT_FAILED)
    again = apply(
        Run.queued(another.issue, Trigger(TriggerKind.LABEL, "2"), late),
        RunEnded(Reason.AGENT_FAILED, late),
    )
    breaker = open_breaker([*ended(*[Reason.AGENT_FAILED] * 3), again], THREE, late)
    assert breaker is not None
    assert breaker.until == late + timedelta(seconds=600)


def test_a_run_out_of_attempts_counts_for_its_last_attempts_reason() -> None:
    now = START + timedelta(minutes=4)
    stalled = ended(Reason.STALLED, Reason.STALLED)
    assert open_breaker([*stalled, exhausted(Reason.STALLED)], THREE, now) is not None
    assert open_breaker([*stalled, exhausted(Reason.AGENT_FAILED)], THREE, now) is None


@given(reasons=st.lists(st.sampled_from(ENDED), max_size=12), failures=st.integers(2, 6))
def test_only_an_unbroken_row_opens_it(reasons: list[Reason], failures: int) -> None:
    policy = BreakerPolicy(failures, pause_seconds=1e6)
    runs = ended(*reasons)
    silent = {
        Reason.CANCELLED_BY_USER,
        Reason.ISSUE_CLOSED,
        Reason.UNTRUSTED,
        Reason.BUDGET_EXCEEDED,
    }
    sound = {Reason.NO_CHANGES, Reason.PULL_REQUEST_OPENED, Reason.PULL_REQUEST_UPDATED}
    row = [reason for reason in reasons if reason not in silent][-failures:]
    expected = len(row) == failures and len(set(row)) == 1 and row[0] not in sound
    now = START + timedelta(minutes=20)
    for order in (runs, runs[::-1]):
        assert (open_breaker(order, policy, now) is not None) == expected
    assert open_breaker(runs, BreakerPolicy(None, 1e6), now) is None
