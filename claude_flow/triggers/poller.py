"""From labelled issues to runs: asks GitHub, chooses, submits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from claude_flow.errors import NotFoundError
from claude_flow.model.issue import Issue, IssueRef, Repository
from claude_flow.model.run import Run, RunState, Trigger, TriggerKind
from claude_flow.ports import Brakes, Engine, GitHub
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
        brakes: Brakes,
        *,
        trigger_label: Callable[[], str],
        clock: Callable[[], datetime],
    ) -> None:
        self._github = github
        self._engine = engine
        self._brakes = brakes
        self._label = trigger_label
        self._clock = clock
        self._held: Mapping[Repository, str] = {}
        self._waiting: dict[Repository, list[Issue]] = {}
        # Issues whose label event already made a run, by when they last changed: their label
        # is about to go, and asking again for the same event would cost a request per look.
        self._done_with: dict[IssueRef, datetime] = {}

    @property
    def waiting(self) -> int:
        """How many labelled issues were seen, not yet taken, and may be taken."""
        return sum(issue.ref.repository not in self._held for issue in self._open_requests())

    @property
    def held(self) -> Mapping[Repository, str]:
        """Repositories whose issues keep their label and are not taken for now, and why."""
        return self._held

    def forget(self, repository: Repository) -> None:
        """Take no more of what waits in a repository that is not watched any more."""
        self._waiting.pop(repository, None)
        self._held = {held: why for held, why in self._held.items() if held != repository}

    def look(self, repository: Repository) -> None:
        """Ask GitHub for the repository's labelled issues. Raises a ``GitHubError``."""
        self._waiting[repository] = self._github.labelled_issues(repository, self._label())
        labelled = {issue.ref for issues in self._waiting.values() for issue in issues}
        self._done_with = {ref: seen for ref, seen in self._done_with.items() if ref in labelled}

    def admit(self) -> list[Run]:
        """Submit what there is a place for; the new runs. Raises GitHubError, EngineError."""
        waiting = self._open_requests()
        self._hold({*self._held, *(issue.ref.repository for issue in waiting)})
        waiting = [issue for issue in waiting if issue.ref.repository not in self._held]
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

    def _hold(self, repositories: Collection[Repository]) -> None:
        before = self._held
        self._held = self._brakes.on_repositories(repositories) if repositories else {}
        for repository in self._held.keys() - before.keys():
            why = self._held[repository]
            _log.warning("issues of %s keep their label for now: %s", repository, why)
        for repository in before.keys() - self._held.keys():
            _log.info("issues of %s are taken again", repository)

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
