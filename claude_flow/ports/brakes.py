"""What stops new work without anybody's asking: repeated failures and spent budgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from claude_flow.model.budgets import Budget
from claude_flow.model.issue import Repository
from claude_flow.model.run import Run


class Brakes(Protocol):
    """Judged by the record of runs, so the same on all hosts. Blocks; raises EngineError.

    Why something stops is a sentence for people without its full stop, None where nothing does.
    """

    def on_repositories(self, repositories: Iterable[Repository]) -> Mapping[Repository, str]:
        """Those of the repositories of which no new issue is taken now, and why."""
        ...

    def on_attempt(self, run: Run) -> str | None:
        """Why no attempt of the run may begin now."""
        ...

    def budgets(self, run: Run) -> Sequence[Budget]:
        """All budgets that the run draws on, but for an attempt's own, as they stand now."""
        ...

    def after(self, ended: Run) -> str | None:
        """What a run that ends like this stops for the issues after it."""
        ...
