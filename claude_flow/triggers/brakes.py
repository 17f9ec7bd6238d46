"""Repeated failures and spent budgets, as the record of runs tells them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from claude_flow.model.breaker import Breaker, BreakerPolicy, is_failure, open_breaker
from claude_flow.model.budgets import Budget, Budgets, daily_budgets, day_of, run_budgets
from claude_flow.model.issue import Repository
from claude_flow.model.run import Run, RunState
from claude_flow.ports import Engine

_FINAL = tuple(state for state in RunState if state.is_final)
# Among those may be some that say nothing about the next run: cancelled, refused.
_LOOK_BACK_PER_FAILURE = 4


class RecordedBrakes:
    """Implements ``ports.Brakes``; nothing is kept beside the record.

    ``told_usd`` says what the agent of a run that is under way on this host told so far of the
    attempt's cost, which the record learns at its end.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        breaker: Callable[[], BreakerPolicy],
        budgets: Callable[[], Budgets],
        clock: Callable[[], datetime],
        told_usd: Callable[[str], float],
    ) -> None:
        self._engine = engine
        self._breaker = breaker
        self._budgets = budgets
        self._clock = clock
        self._told_usd = told_usd

    def on_repositories(self, repositories: Iterable[Repository]) -> Mapping[Repository, str]:
        """Those of the repositories of which no new issue is taken now, and why."""
        wanted = set(repositories)
        budgets = self._budgets()
        spent = self._spent_today(budgets) if wanted else {}
        found: dict[Repository, str] = {}
        for repository in wanted:
            daily = daily_budgets(budgets, spent, [str(repository)], self._clock())
            stopped = _first_spent(daily) or self._open_breaker(repository)
            if stopped is not None:
                found[repository] = stopped.why
        return found

    def on_attempt(self, run: Run) -> str | None:
        """Which budget is spent."""
        spent = _first_spent(self.budgets(run))
        return None if spent is None else spent.why

    def budgets(self, run: Run) -> list[Budget]:
        """The run's own and those of the day, without what this attempt of the run told."""
        budgets = self._budgets()
        spent = self._spent_today(budgets, without=run)
        repository = str(run.issue.repository)
        return [
            *run_budgets(budgets, run.usage.cost_usd or 0.0),
            *daily_budgets(budgets, spent, [repository], self._clock()),
        ]

    def after(self, ended: Run) -> str | None:
        """That this failure is one too many of its kind."""
        if not is_failure(ended):
            return None
        breaker = self._open_breaker(ended.issue.repository, ended)
        return None if breaker is None else breaker.why

    def _spent_today(self, budgets: Budgets, *, without: Run | None = None) -> dict[str, float]:
        """What ended attempts cost and running ones told, by repository in lower case."""
        if not budgets.are_daily:
            return {}
        # Told first: what ends in between is counted twice for a moment, not left out.
        told = self._told_now(without)
        spent = dict(self._engine.spent_usd(day_of(self._clock())))
        for repository, usd in told:
            spent[repository] = spent.get(repository, 0.0) + usd
        return spent

    def _told_now(self, without: Run | None) -> list[tuple[str, float]]:
        return [
            (str(run.issue.repository).lower(), self._told_usd(run.id))
            for run in self._engine.runs(states=(RunState.RUNNING,))
            if without is None or run.id != without.id
        ]

    def _open_breaker(self, repository: Repository, ending: Run | None = None) -> Breaker | None:
        policy = self._breaker()
        if policy.failures is None:
            return None
        ended = self._engine.runs(
            states=_FINAL, repository=repository, limit=policy.failures * _LOOK_BACK_PER_FAILURE
        )
        if ending is not None:
            ended = [ending, *(run for run in ended if run.id != ending.id)]
        return open_breaker(ended, policy, self._clock())


def _first_spent(budgets: Iterable[Budget]) -> Budget | None:
    return next((budget for budget in budgets if budget.is_spent), None)
