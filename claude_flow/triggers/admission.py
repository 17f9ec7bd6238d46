"""Which of the waiting issues may start now: a pure choice.

GitHub is the backlog. Only as many issues are taken as there are free slots, so that an issue
whose label somebody takes off again was never in the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from claude_flow.model.issue import Issue, IssueRef, Repository


def choose(
    waiting: Iterable[Issue],
    *,
    active: Collection[IssueRef],
    free: int,
    free_in: Callable[[Repository], int],
) -> list[Issue]:
    """The issues to take now, oldest first, at most one for each name.

    ``active`` are the issues that have a run, whatever their spelling; ``free`` is how many
    runs may start on this host and ``free_in`` how many of them in one repository.
    """
    busy = {str(ref).lower() for ref in active}
    left: dict[str, int] = {}
    chosen: list[Issue] = []
    for issue in sorted(waiting, key=lambda issue: (issue.created_at, issue.ref)):
        if len(chosen) >= free:
            break
        name, repository = str(issue.ref).lower(), str(issue.ref.repository).lower()
        if name in busy:
            continue
        if repository not in left:
            left[repository] = free_in(issue.ref.repository)
        if left[repository] > 0:
            left[repository] -= 1
            busy.add(name)
            chosen.append(issue)
    return chosen
