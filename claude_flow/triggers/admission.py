"""Which of the waiting issues may start now: a pure choice.

GitHub is the backlog. Only as many issues are taken as there are free places, so that an issue
whose label somebody takes off again was never in the queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from claude_flow.model.issue import Issue
from claude_flow.model.run import Run, RunState


@dataclass(frozen=True, slots=True)
class Places:
    """How many runs may be active at once: on this host, and per repository over all hosts."""

    host: int
    repository: int


def holds_a_place(run: Run) -> bool:
    """Whether the run works or is about to; one that waits for its next attempt does not."""
    return run.state is RunState.RUNNING or (run.state is RunState.QUEUED and not run.attempts)


def choose(waiting: Iterable[Issue], active: Iterable[Run], places: Places) -> list[Issue]:
    """The issues to take now, oldest first, none of which has an active run."""
    active = list(active)
    busy = {str(run.issue).lower() for run in active}
    taken = [run for run in active if holds_a_place(run)]
    free = places.host - len(taken)
    per_repository = Counter(str(run.issue.repository).lower() for run in taken)
    chosen: list[Issue] = []
    for issue in sorted(waiting, key=lambda issue: (issue.created_at, issue.ref)):
        repository = str(issue.ref.repository).lower()
        if len(chosen) >= free:
            break
        if str(issue.ref).lower() in busy or per_repository[repository] >= places.repository:
            continue
        per_repository[repository] += 1
        chosen.append(issue)
    return chosen
