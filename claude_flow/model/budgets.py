"""Whether there is money left for another attempt: a pure judgement over what was spent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from claude_flow.model.run import to_rfc3339

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
class SpentBudget:
    """A budget with nothing left; ``resets_at`` is None where it never does."""

    setting: str
    limit_usd: float
    spent_usd: float
    resets_at: datetime | None

    @property
    def why(self) -> str:
        """One sentence for operators and for the issue."""
        until = (
            "it does not reset; put the label back for a new run"
            if self.resets_at is None
            else f"it resets at {self.resets_at:%Y-%m-%d %H:%M} UTC"
        )
        return (
            f"the budget {self.setting} of {self.limit_usd:.2f} USD is used up "
            f"({self.spent_usd:.2f} USD spent); {until}"
        )


@dataclass(frozen=True, slots=True)
class DailyBudget:
    """How a daily budget stands; ``repository`` is None for that of all together."""

    setting: str
    repository: str | None
    limit_usd: float
    spent_usd: float
    resets_at: datetime

    @property
    def left_usd(self) -> float:
        """What may still be spent today; never below 0."""
        return max(0.0, self.limit_usd - self.spent_usd)

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


def daily_budgets(
    budgets: Budgets, spent: Mapping[str, float], repositories: Iterable[str], now: datetime
) -> Iterator[DailyBudget]:
    """Those of the day of ``now`` that are set; ``spent`` by repository, in lower case."""
    resets_at = _tomorrow(now)
    if budgets.daily_usd is not None:
        yield DailyBudget(_DAILY, None, budgets.daily_usd, sum(spent.values()), resets_at)
    if budgets.repository_daily_usd is not None:
        for repository in repositories:
            yield DailyBudget(
                _REPOSITORY_DAILY,
                repository,
                budgets.repository_daily_usd,
                spent.get(repository.lower(), 0.0),
                resets_at,
            )


def day_of(moment: datetime) -> datetime:
    """The UTC midnight at which the moment's day began."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def spent_run_budget(budgets: Budgets, run_usd: float) -> SpentBudget | None:
    """The run's own budget, if its attempts have used it up."""
    return _spent(_RUN, budgets.run_usd, run_usd, None)


def spent_daily_budget(
    budgets: Budgets, *, repository_usd: float, all_usd: float, now: datetime
) -> SpentBudget | None:
    """The day's budget that is used up, if any; both sums are of the day of ``now``."""
    resets_at = _tomorrow(now)
    return _spent(_DAILY, budgets.daily_usd, all_usd, resets_at) or _spent(
        _REPOSITORY_DAILY, budgets.repository_daily_usd, repository_usd, resets_at
    )


def _tomorrow(now: datetime) -> datetime:
    return day_of(now) + timedelta(days=1)


def _spent(
    setting: str, limit_usd: float | None, spent_usd: float, resets_at: datetime | None
) -> SpentBudget | None:
    if limit_usd is None or spent_usd < limit_usd:
        return None
    return SpentBudget(setting, limit_usd, spent_usd, resets_at)
