"""When money is spent, and when there is some again."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from claude_flow.model.budgets import Budgets, day_of, spent_daily_budget, spent_run_budget

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
USD = st.floats(0, 1e6)
LIMIT = st.none() | st.floats(0.01, 1e6)


def test_the_sentence_names_the_budget_the_sum_and_the_reset() -> None:
    spent = spent_daily_budget(
        Budgets(repository_daily_usd=5), repository_usd=5.2, all_usd=7, now=NOON
    )
    assert spent is not None
    assert spent.why == (
        "the budget claude_flow.repository_daily_budget_usd of 5.00 USD is used up "
        "(5.20 USD spent); it resets at 2026-02-01 00:00 UTC"
    )


def test_a_runs_budget_never_resets() -> None:
    spent = spent_run_budget(Budgets(run_usd=2), 2.0)
    assert spent is not None
    assert spent.resets_at is None
    assert spent_run_budget(Budgets(run_usd=2), 1.99) is None


@given(repository_limit=LIMIT, limit=LIMIT, repository_usd=USD, others_usd=USD)
def test_a_budget_is_spent_when_its_sum_is_reached(
    repository_limit: float | None, limit: float | None, repository_usd: float, others_usd: float
) -> None:
    all_usd = repository_usd + others_usd
    spent = spent_daily_budget(
        Budgets(repository_daily_usd=repository_limit, daily_usd=limit),
        repository_usd=repository_usd,
        all_usd=all_usd,
        now=NOON,
    )
    reached = [
        repository_limit is not None and repository_usd >= repository_limit,
        limit is not None and all_usd >= limit,
    ]
    assert (spent is not None) == any(reached)


@given(
    seconds=st.integers(0, 4 * 10**9),
    hours=st.integers(-12, 14),
)
def test_a_day_is_utcs_wherever_the_clock_stands(seconds: int, hours: int) -> None:
    moment = datetime.fromtimestamp(seconds, timezone(timedelta(hours=hours)))
    day = day_of(moment)
    assert day <= moment < day + timedelta(days=1)
    assert day.timestamp() % 86400 == 0
