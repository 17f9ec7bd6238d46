"""Tells the issue how its run stands: labels and the one status comment."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from claude_flow.errors import ForbiddenError, NotFoundError, RejectedError
from claude_flow.model.failures import FailureKind
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Reason, Run, RunState
from claude_flow.model.transitions import final_state
from claude_flow.ports import GitHub
from claude_flow.workflow import texts
from claude_flow.workflow.patience import Patience

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of this service's own."""

    trigger: str
    state_prefix: str

    @property
    def running(self) -> str:
        """On an issue that is worked on."""
        return f"{self.state_prefix}running"

    @property
    def done(self) -> str:
        """On an issue whose run succeeded."""
        return f"{self.state_prefix}done"

    @property
    def failed(self) -> str:
        """On an issue whose run ended without success."""
        return f"{self.state_prefix}failed"


class Announcer:
    """Every method may be called again for the same news; the issue then stays as it is."""

    def __init__(
        self,
        github: GitHub,
        *,
        labels: Callable[[], Labels],
        patience: Patience,
        redact: Callable[[str], str],
    ) -> None:
        self._github = github
        self._labels = labels
        self._patience = patience
        self._redact = redact

    async def claimed(self, run: Run) -> None:
        """The trigger label goes, the running label comes, the comment says so."""
        labels = self._labels()
        await self._label(run.issue, add=labels.running)
        for label in (labels.trigger, labels.done, labels.failed):
            await self._label(run.issue, remove=label)
        await self._comment(run.issue, texts.working_comment(run))

    async def waiting(self, run: Run, begins_at: datetime, waits_for: FailureKind | None) -> None:
        """The comment says when the next attempt begins, and what it waits for."""
        await self._comment(run.issue, texts.waiting_comment(run, begins_at, waits_for))

    async def ended(
        self, run: Run, reason: Reason, *, detail: str | None, pull_request: str | None
    ) -> None:
        """The running label goes, done or failed comes, the comment tells the outcome.

        A trigger label that is there now asks for another run, and stays.
        """
        labels = self._labels()
        succeeded = final_state(reason) is RunState.SUCCEEDED
        await self._label(run.issue, add=labels.done if succeeded else labels.failed)
        await self._label(run.issue, remove=labels.running)
        await self._comment(
            run.issue,
            texts.ended_comment(
                run, reason, detail=detail, pull_request=pull_request, label=labels.trigger
            ),
        )

    async def refused(self, run: Run, reason: Reason, *, detail: str | None) -> None:
        """The run ended before its issue was claimed: the trigger label goes too."""
        await self._label(run.issue, remove=self._labels().trigger)
        await self.ended(run, reason, detail=detail, pull_request=None)

    async def _label(
        self, ref: IssueRef, *, add: str | None = None, remove: str | None = None
    ) -> None:
        try:
            if add is not None:
                await self._patience.call(self._github.add_label, ref, add)
            if remove is not None:
                await self._patience.call(self._github.remove_label, ref, remove)
        except (ForbiddenError, NotFoundError, RejectedError) as error:
            # The run itself must not end on it: the record and the comment still tell.
            _log.warning("cannot change the labels of %s: %s", ref, error)

    async def _comment(self, ref: IssueRef, body: str) -> None:
        try:
            await self._patience.call(
                self._github.upsert_comment,
                ref,
                marker=texts.COMMENT_MARKER,
                body=self._redact(body),
            )
        except (ForbiddenError, NotFoundError, RejectedError) as error:
            _log.warning("cannot comment on %s: %s", ref, error)
