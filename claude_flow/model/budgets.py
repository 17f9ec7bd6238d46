"""Whether there is money left: a pure judgement over what was spent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from claude_flow.model.run import to_rfc3339

ATTEMPT_SETTING = "claude_flow.budget_usd"
_RUN = "claude_flow.run_budget_usd"
_REPOSITORY_DAILY = "claude_flow.repository_daily_budget_usd"
_DAILY = "claude_flow.daily_budget_usd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """What may be spent at most, in US dollars; None is no bound. Days are UTC's."""

    run_usd: float | None = None
    repository_daily_usd: float | None = None
    daily_usd: float | None = None

    @property
    def are_daily(self) -> bool:
        """Whether it matters what was spent today."""
        return self.repository_daily_usd is not None or self.daily_usd is not None


@dataclass(frozen=True, slots=True)
class Budget:
    """How a budget stands.

    ``resets_at`` is None where it never does, ``repository`` where it is not one repository's.
    """

    setting: str
    limit_usd: float
    spent_usd: float
    resets_at: datetime | None = None
    repository: str | None = None

    @property
    def left_usd(self) -> float:
        """What may still be spent; never below 0."""
        return max(0.0, self.limit_usd - self.spent_usd)

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self.spent_usd >= self.limit_usd

    @property
    def why(self) -> str:
        """That it is used up, in one sentence for operators and for the issue."""
        until = (
            "it does not reset; put the label back for a new run"
            if self.resets_at is None
            else f"it resets at {self.resets_at:%Y-%m-%d %H:%M} UTC"
        )
        return (
            f"the budget {self.setting} of {self.limit_usd:.2f} USD is used up "
            f"({self.spent_usd:.2f} USD spent); {until}"
        )

    def after(self, cost_usd: float) -> Self:
        """The same once so much more is spent."""
        return replace(self, spent_usd=self.spent_usd + cost_usd)

    def to_json(self) -> dict[str, Any]:
        """The numbers in US dollars."""
        return {
            "setting": self.setting,
            "repository": self.repository,
            "limit_usd": self.limit_usd,
            "spent_usd": self.spent_usd,
            "left_usd": self.left_usd,
            "resets_at": to_rfc3339(self.resets_at),
        }


def run_budgets(budgets: Budgets, run_usd: float) -> Iterator[Budget]:
    """The run's own budget, if there is one."""
    if budgets.run_usd is not None:
        yield Budget(_RUN, budgets.run_usd, run_usd)


def daily_budgets(
    budgets: Budgets, spent: Mapping[str, float], repositories: Iterable[str], now: datetime
) -> Iterator[Budget]:
    """Those of the day of ``now`` that are set; ``spent`` by repository, in lower case."""
    resets_at = day_of(now) + timedelta(days=1)
    if budgets.daily_usd is not None:
        yield Budget(_DAILY, budgets.daily_usd, sum(spent.values()), resets_at)
    if budgets.repository_daily_usd is not None:
        for repository in repositories:
            usd = spent.get(repository.lower(), 0.0)
            yield Budget(
                _REPOSITORY_DAILY, budgets.repository_daily_usd, usd, resets_at, repository
            )


def day_of(moment: datetime) -> datetime:
    """The UTC midnight at which the moment's day began."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
