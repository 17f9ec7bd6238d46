"""GitHub as this service uses it, and the gate that decides by it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from claude_flow.model.issue import Issue, IssueRef, Repository
from claude_flow.model.run import Reason, Trigger


@dataclass(frozen=True, slots=True)
class RepositoryInfo:
    """What GitHub says of a repository; ``repository`` is its present name."""

    repository: Repository
    default_branch: str
    is_archived: bool
    may_push: bool | None = None
    """Whether the token's person may push; None where GitHub does not say."""


@dataclass(frozen=True, slots=True)
class LabelEvent:
    """Who put a label on an issue, and when. ``actor`` is None for a deleted account."""

    id: int
    label: str
    actor: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Who last changed an issue's title or text, and when."""

    actor: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on an issue."""

    id: int
    author: str | None
    body: str
    url: str
    is_edited: bool = False
    """Whether its text was changed after it was written, by whomever."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request; ``head_branch`` is the branch it would merge."""

    number: int
    url: str
    head_branch: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What is left of the hour's requests."""

    limit: int
    remaining: int
    resets_at: datetime


@dataclass(frozen=True, slots=True)
class Access:
    """How GitHub takes the token; None where it does not say.

    ``scopes`` are a classic token's; other kinds have none.
    """

    scopes: tuple[str, ...] | None
    server_time: datetime | None
    rate_limit: RateLimit | None


class GitHub(Protocol):
    """GitHub's REST API, as far as this service uses it.

    Every method may raise a ``GitHubError``: ``TokenRefusedError``, ``ForbiddenError``,
    ``NotFoundError``, ``RejectedError``, ``RateLimitedError``, ``GitHubUnreachableError``.
    All methods block; call them from a thread.
    """

    def repository(self, repository: Repository) -> RepositoryInfo:
        """The repository under its present name."""
        ...

    def labelled_issues(self, repository: Repository, label: str) -> list[Issue]:
        """Open issues (no pull requests) with the label, oldest first; free if unchanged."""
        ...

    def issue(self, ref: IssueRef) -> Issue:
        """One issue, as it is now."""
        ...

    def label_events(self, ref: IssueRef, label: str) -> list[LabelEvent]:
        """The times the label was put on the issue, oldest first."""
        ...

    def last_edits(self, ref: IssueRef) -> list[TextEdit]:
        """Changes of the issue's title and text, oldest first."""
        ...

    def permission(self, repository: Repository, login: str) -> str:
        """``admin``, ``maintain``, ``write``, ``triage``, ``read`` or ``none``."""
        ...

    def add_label(self, ref: IssueRef, label: str) -> None:
        """Put a label on the issue, making it in the repository if it is new."""
        ...

    def remove_label(self, ref: IssueRef, label: str) -> None:
        """Take a label off the issue; fine if it is not there."""
        ...

    def comments(self, ref: IssueRef) -> list[Comment]:
        """The comments on the issue, oldest first."""
        ...

    def upsert_comment(self, ref: IssueRef, *, marker: str, body: str) -> Comment:
        """Edit our own comment that contains ``marker``, or write it if there is none."""
        ...

    def find_pull_request(self, repository: Repository, head_branch: str) -> PullRequest | None:
        """The open pull request from the branch, or None."""
        ...

    def open_pull_request(
        self, repository: Repository, *, head: str, base: str, title: str, body: str, draft: bool
    ) -> PullRequest:
        """Open a pull request; if one is open from ``head``, that one."""
        ...

    def update_pull_request(self, repository: Repository, number: int, *, body: str) -> PullRequest:
        """Give an open pull request a new text."""
        ...

    def rate_limit(self) -> RateLimit | None:
        """As the latest answer said; None before the first."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an issue is not worked on; ``why`` is one sentence for the issue's comment."""

    reason: Reason
    why: str


class Gate(Protocol):
    """Decides whether an issue's present text may reach an agent."""

    def admit(self, ref: IssueRef, trigger: Trigger) -> Issue | Refusal:
        """The issue with the very text that was judged, or why not. Blocks.

        Raises a ``GitHubError`` where GitHub does not tell.
        """
        ...

    def trusted_comments(self, ref: IssueRef) -> list[Comment]:
        """The comments on the issue whose words may reach an agent, oldest first. Blocks.

        Without those of the service itself. Raises a ``GitHubError``.
        """
        ...
