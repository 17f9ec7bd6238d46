"""What the agents used, added up: a pure fold over runs, and what is left of the budgets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from claude_flow.errors import UsageError
from claude_flow.model.budgets import Budget, day_of
from claude_flow.model.run import Attempt, Run, Usage, to_rfc3339

DEFAULT_SINCE = "30d"
_DAYS = re.compile(r"([1-9][0-9]{0,3})d")


class UsageBy(StrEnum):
    """What attempts are told apart by."""

    REPOSITORY = "repository"
    DAY = "day"
    MODEL = "model"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class UsageSum:
    """What ended attempts used together, and of how many runs they are.

    A run with attempts in several groups counts in each.
    """

    runs: int
    attempts: int
    usage: Usage

    def to_json(self) -> dict[str, Any]:
        """The numbers; null where no attempt said any."""
        return {"runs": self.runs, "attempts": self.attempts, **self.usage.to_json()}


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What attempts that ended since a moment used, by group.

    The groups' names are ``owner/name``, a UTC day, a model (None where none was told) or a
    run's id. Days are in order, the latest first; of all others the most expensive comes first.
    """

    by: UsageBy
    since: datetime
    groups: tuple[tuple[str | None, UsageSum], ...]
    total: UsageSum
    budgets: tuple[Budget, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As ``schemas/usage.schema.json`` describes it."""
        return {
            "by": self.by,
            "since": to_rfc3339(self.since),
            "groups": [{self.by.value: name, **told.to_json()} for name, told in self.groups],
            "total": self.total.to_json(),
            "budgets": [budget.to_json() for budget in self.budgets],
        }


def since_of(text: str, now: datetime) -> datetime:
    """The UTC midnight that ``7d`` (today and the six days before) or ``2026-01-31`` names.

    Raises UsageError for anything else and for a day to come.
    """
    midnight = _midnight(text, now)
    if midnight is None or midnight > now:
        raise UsageError(
            f"{text[:40]!r} is neither a number of days like 7d nor a past day like 2026-01-31"
        )
    return midnight


def _midnight(text: str, now: datetime) -> datetime | None:
    days = _DAYS.fullmatch(text)
    try:
        if days is not None:
            return day_of(now) - timedelta(days=int(days[1]) - 1)
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        return None


@dataclass(slots=True)
class _Sum:
    runs: int = 0
    attempts: int = 0
    usage: Usage | None = None

    def add(self, attempt: Attempt) -> None:
        self.attempts += 1
        self.usage = attempt.usage if self.usage is None else self.usage + attempt.usage

    def done(self) -> UsageSum:
        return UsageSum(self.runs, self.attempts, self.usage or Usage())


@dataclass(slots=True)
class _Sums:
    by_name: dict[str | None, _Sum] = field(default_factory=dict)
    total: _Sum = field(default_factory=_Sum)

    def add(self, run: Run, by: UsageBy, since: datetime) -> None:
        names = set()
        for attempt, ended_at in _ended_since(run, since):
            name = _name(by, run, attempt, ended_at)
            names.add(name)
            self.by_name.setdefault(name, _Sum()).add(attempt)
            self.total.add(attempt)
        for name in names:
            self.by_name[name].runs += 1
        self.total.runs += bool(names)


def usage_of(
    runs: Iterable[Run], *, by: UsageBy, since: datetime, budgets: Iterable[Budget] = ()
) -> UsageReport:
    """The report over the runs, of which only sums are held. An attempt counts where it ended."""
    sums = _Sums()
    for run in runs:
        sums.add(run, by, since)
    groups = [(name, told.done()) for name, told in sums.by_name.items()]
    groups.sort(key=lambda group: group[0] or "", reverse=by is UsageBy.DAY)
    if by is not UsageBy.DAY:
        groups.sort(key=lambda group: _size(group[1].usage), reverse=True)
    return UsageReport(by, since, tuple(groups), sums.total.done(), tuple(budgets))


def _ended_since(run: Run, since: datetime) -> Iterator[tuple[Attempt, datetime]]:
    for attempt in run.attempts:
        if attempt.ended_at is not None and attempt.ended_at >= since:
            yield attempt, attempt.ended_at


def _name(by: UsageBy, run: Run, attempt: Attempt, ended_at: datetime) -> str | None:
    match by:
        case UsageBy.REPOSITORY:
            return str(run.issue.repository).lower()
        case UsageBy.DAY:
            return f"{day_of(ended_at):%Y-%m-%d}"
        case UsageBy.MODEL:
            return attempt.usage.model
        case UsageBy.RUN:
            return run.id


def _size(usage: Usage) -> tuple[float, int, int]:
    return usage.cost_usd or 0.0, usage.tokens or 0, usage.turns or 0
