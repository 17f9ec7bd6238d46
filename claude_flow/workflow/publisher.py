"""From what an agent left in its workspace to a pull request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from claude_flow.errors import ForbiddenError, NotFoundError, PushRejectedError, RejectedError
from claude_flow.model.issue import Issue, Repository
from claude_flow.model.run import Reason, Run
from claude_flow.ports import Changes, GitHub, Workspace, Workspaces
from claude_flow.workflow import texts
from claude_flow.workflow.change_limits import ChangeLimits, why_unpublishable
from claude_flow.workflow.patience import Patience


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run's change goes; ``repository`` is its present name.

    ``is_update`` says whether the issue's pull request was open before this attempt: after a
    crash, finding it open does not tell who opened it.
    """

    repository: Repository
    base_branch: str
    branch: str
    is_update: bool

    @property
    def start_from(self) -> str:
        """The branch that the work begins on."""
        return self.branch if self.is_update else self.base_branch


@dataclass(frozen=True, slots=True)
class Published:
    """What came of publishing: ``pull_request`` is its address, None if it was refused."""

    reason: Reason
    pull_request: str | None = None
    detail: str | None = None


class Publisher:
    """Commits, pushes and opens or updates the one pull request of an issue.

    Done again it finds what it did: the same commit, the branch already there, the pull
    request by its branch.
    """

    def __init__(
        self,
        github: GitHub,
        workspaces: Workspaces,
        *,
        agent_name: Callable[[], str],
        draft: Callable[[], bool],
        limits: Callable[[], ChangeLimits],
        patience: Patience,
        redact: Callable[[str], str],
    ) -> None:
        self._github = github
        self._workspaces = workspaces
        self._agent_name = agent_name
        self._draft = draft
        self._limits = limits
        self._patience = patience
        self._redact = redact

    async def collect(
        self, run: Run, issue: Issue, workspace: Workspace, target: Target, at: datetime
    ) -> Changes | None:
        """The commit to publish, None if the agent changed nothing. Raises WorkspaceError."""
        return await self._workspaces.collect(
            workspace, target.repository, message=texts.commit_message(issue.title, run), at=at
        )

    async def publish(
        self,
        run: Run,
        issue: Issue,
        workspace: Workspace,
        target: Target,
        changes: Changes,
        summary: str | None,
        fails: str | None = None,
    ) -> Published:
        """Push the commit and show it in a pull request, if it is within the limits.

        Where checks do not pass, ``fails`` says which; a new pull request then is a draft.
        """
        why = why_unpublishable(changes, self._limits())
        if why is not None:
            return Published(Reason.PUBLISH_REJECTED, detail=self._redact(why))
        present = await self._patience.call(self._github.issue, run.issue)
        if not present.is_open:
            return Published(Reason.ISSUE_CLOSED, detail="The issue was closed in the meantime.")

        async def push() -> None:
            await self._workspaces.push(
                workspace, target.repository, commit=changes.commit, branch=target.branch
            )

        try:
            await self._patience.wait(push)
            return await self._show(run, issue, target, changes, summary, fails)
        except (PushRejectedError, ForbiddenError, NotFoundError, RejectedError) as error:
            return Published(Reason.PUBLISH_REJECTED, detail=self._redact(str(error)))

    async def _show(
        self,
        run: Run,
        issue: Issue,
        target: Target,
        changes: Changes,
        summary: str | None,
        fails: str | None,
    ) -> Published:
        body = self._redact(
            texts.pull_request_body(
                run, summary=summary, agent=self._agent_name(), files=changes.files, fails=fails
            )
        )
        known = await self._patience.call(
            self._github.find_pull_request, target.repository, target.branch
        )
        if known is None:
            shown = await self._patience.call(
                self._github.open_pull_request,
                target.repository,
                head=target.branch,
                base=target.base_branch,
                title=self._redact(texts.pull_request_title(issue.title)),
                body=body,
                draft=self._draft() or fails is not None,
            )
        else:
            shown = await self._patience.call(
                self._github.update_pull_request, target.repository, known.number, body=body
            )
        reason = Reason.PULL_REQUEST_UPDATED if target.is_update else Reason.PULL_REQUEST_OPENED
        detail = "Checks of the repository fail; the pull request says which." if fails else None
        return Published(reason, shown.url, detail)
