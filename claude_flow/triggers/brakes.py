"""Repeated failures and spent budgets, as the record of runs tells them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from claude_flow.model.breaker import Breaker, BreakerPolicy, is_failure, open_breaker
from claude_flow.model.budgets import (
    Budgets,
    SpentBudget,
    day_of,
    spent_daily_budget,
    spent_run_budget,
)
from claude_flow.model.issue import Repository
from claude_flow.model.run import Run, RunState
from claude_flow.ports import Engine

_FINAL = tuple(state for state in RunState if state.is_final)
# Among those may be some that say nothing about the next run: cancelled, refused.
_LOOK_BACK_PER_FAILURE = 4


class RecordedBrakes:
    """Implements ``ports.Brakes``; nothing is kept beside the record."""

    def __init__(
        self,
        engine: Engine,
        *,
        breaker: Callable[[], BreakerPolicy],
        budgets: Callable[[], Budgets],
        clock: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._breaker = breaker
        self._budgets = budgets
        self._clock = clock

    def on_repositories(self, repositories: Iterable[Repository]) -> Mapping[Repository, str]:
        """Those of the repositories of which no new issue is taken now, and why."""
        wanted = set(repositories)
        budgets = self._spent_daily(wanted)
        found: dict[Repository, str] = {}
        for repository in wanted:
            stopped = budgets.get(repository) or self._open_breaker(repository)
            if stopped is not None:
                found[repository] = stopped.why
        return found

    def on_attempt(self, run: Run) -> str | None:
        """Which budget is spent."""
        spent = spent_run_budget(self._budgets(), run.usage.cost_usd or 0.0)
        spent = spent or self._spent_daily({run.issue.repository}).get(run.issue.repository)
        return None if spent is None else spent.why

    def after(self, ended: Run) -> str | None:
        """That this failure is one too many of its kind."""
        if not is_failure(ended):
            return None
        breaker = self._open_breaker(ended.issue.repository, ended)
        return None if breaker is None else breaker.why

    def _spent_daily(self, repositories: set[Repository]) -> Mapping[Repository, SpentBudget]:
        budgets, now = self._budgets(), self._clock()
        if not budgets.are_daily or not repositories:
            return {}
        spent = self._engine.spent_usd(day_of(now))
        found = {
            repository: spent_daily_budget(
                budgets,
                repository_usd=spent.get(str(repository).lower(), 0.0),
                all_usd=sum(spent.values()),
                now=now,
            )
            for repository in repositories
        }
        return {repository: budget for repository, budget in found.items() if budget is not None}

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
