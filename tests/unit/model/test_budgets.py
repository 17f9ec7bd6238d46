"""When money is spent, and when there is some again."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from claude_flow.model.budgets import Budget, Budgets, daily_budgets, day_of, run_budgets

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
USD = st.floats(0, 1e6)
LIMIT = st.none() | st.floats(0.01, 1e6)


def test_the_sentence_names_the_budget_the_sum_and_the_reset() -> None:
    (spent,) = daily_budgets(
        Budgets(repository_daily_usd=5), {"octo/a": 5.2, "octo/b": 1.8}, ["Octo/A"], NOON
    )
    assert spent.why == (
        "the budget claude_flow.repository_daily_budget_usd of 5.00 USD is used up "
        "(5.20 USD spent); it resets at 2026-02-01 00:00 UTC"
    )


def test_a_runs_budget_never_resets() -> None:
    (budget,) = run_budgets(Budgets(run_usd=2), 1.99)
    assert not budget.is_spent
    assert budget.after(0.01).is_spent
    assert budget.resets_at is None
    assert list(run_budgets(Budgets(), 99)) == []


@given(repository_limit=LIMIT, limit=LIMIT, repository_usd=USD, others_usd=USD)
def test_a_budget_is_spent_when_its_sum_is_reached(
    repository_limit: float | None, limit: float | None, repository_usd: float, others_usd: float
) -> None:
    spent = {"octo/a": repository_usd, "octo/b": others_usd}
    budgets = Budgets(repository_daily_usd=repository_limit, daily_usd=limit)
    told = list(daily_budgets(budgets, spent, ["Octo/A"], NOON))
    reached = [
        repository_limit is not None and repository_usd >= repository_limit,
        limit is not None and repository_usd + others_usd >= limit,
    ]
    assert any(budget.is_spent for budget in told) == any(reached)
    assert all(budget.is_spent == (budget.left_usd == 0) for budget in told)


@given(limit_usd=st.floats(0.01, 1e6), spent_usd=USD, more_usd=USD)
def test_what_is_left_shrinks_and_is_never_less_than_nothing(
    limit_usd: float, spent_usd: float, more_usd: float
) -> None:
    budget = Budget("claude_flow.run_budget_usd", limit_usd, spent_usd)
    assert 0 <= budget.after(more_usd).left_usd <= budget.left_usd <= limit_usd


@given(
    seconds=st.integers(0, 4 * 10**9),
    hours=st.integers(-12, 14),
)
def test_a_day_is_utcs_wherever_the_clock_stands(seconds: int, hours: int) -> None:
    moment = datetime.fromtimestamp(seconds, timezone(timedelta(hours=hours)))
    day = day_of(moment)
    assert day <= moment < day + timedelta(days=1)
    assert day.timestamp() % 86400 == 0
