"""From labelled issues to runs: asks GitHub, chooses, submits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from claude_flow.errors import NotFoundError
from claude_flow.model.issue import Issue, IssueRef, Repository
from claude_flow.model.run import Run, RunState, Trigger, TriggerKind
from claude_flow.ports import Engine, GitHub
from claude_flow.triggers.admission import choose

_log = logging.getLogger(__name__)
_ACTIVE = (RunState.QUEUED, RunState.RUNNING)


class Poller:
    """Knows which issues wait and turns them into runs as places come free. Blocks.

    One request is one run: the label event's number names it, however often it is seen.
    """

    def __init__(
        self,
        github: GitHub,
        engine: Engine,
        *,
        trigger_label: Callable[[], str],
        clock: Callable[[], datetime],
    ) -> None:
        self._github = github
        self._engine = engine
        self._label = trigger_label
        self._clock = clock
        self._waiting: dict[Repository, list[Issue]] = {}
        # Issues whose label event already made a run, by when they last changed: their label
        # is about to go, and asking again for the same event would cost a request per look.
        self._done_with: dict[IssueRef, datetime] = {}

    @property
    def waiting(self) -> int:
        """How many labelled issues were seen and not yet taken."""
        return len(self._open_requests())

    def forget(self, repository: Repository) -> None:
        """Take no more of what waits in a repository that is not watched any more."""
        self._waiting.pop(repository, None)

    def look(self, repository: Repository) -> None:
        """Ask GitHub for the repository's labelled issues. Raises a ``GitHubError``."""
        self._waiting[repository] = self._github.labelled_issues(repository, self._label())
        labelled = {issue.ref for issues in self._waiting.values() for issue in issues}
        self._done_with = {ref: seen for ref, seen in self._done_with.items() if ref in labelled}

    def admit(self) -> list[Run]:
        """Submit what there is a place for; the new runs. Raises GitHubError, EngineError."""
        waiting = self._open_requests()
        if not waiting:
            return []
        free = self._engine.free_slots()
        if free == 0:
            return []
        chosen = choose(
            waiting,
            active=[run.issue for run in self._engine.runs(states=_ACTIVE)],
            free=free,
            free_in=self._engine.free_slots,
        )
        submitted = [self._submit(issue) for issue in chosen]
        return [run for run in submitted if run is not None]

    def _open_requests(self) -> list[Issue]:
        return [
            issue
            for issues in self._waiting.values()
            for issue in issues
            if self._done_with.get(issue.ref) != issue.updated_at
        ]

    def _submit(self, issue: Issue) -> Run | None:
        label = self._label()
        try:
            if not _still_asks(self._github.issue(issue.ref), label):
                self._done_with[issue.ref] = issue.updated_at
                return None
            events = self._github.label_events(issue.ref, label)
        except NotFoundError as error:
            _log.warning("%s is gone: %s", issue.ref, error)
            self._done_with[issue.ref] = issue.updated_at
            return None
        if not events:
            return None  # the list runs ahead of the events by moments; the next look has them
        latest = events[-1]
        trigger = Trigger(TriggerKind.LABEL, str(latest.id), latest.actor, latest.created_at)
        run = Run.queued(issue.ref, trigger, self._clock())
        if self._engine.submit(run):
            _log.info("queued %s for %s, asked for by %s", run.id, issue.ref, latest.actor)
            return run
        if self._engine.get(run.id) is not None:
            self._done_with[issue.ref] = issue.updated_at
        return None


def _still_asks(issue: Issue, label: str) -> bool:
    """Whether the issue, read after it had to wait, is still open and labelled."""
    return issue.is_open and label.lower() in {name.lower() for name in issue.labels}
