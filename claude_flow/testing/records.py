"""What the stand-in GitHub remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

ROLES = ("none", "read", "triage", "write", "maintain", "admin")
"""GitHub's permission levels, weakest first."""


def role_at_least(role: str, minimum: str) -> bool:
    """Whether ``role`` includes what ``minimum`` may do."""
    return ROLES.index(role) >= ROLES.index(minimum)


@dataclass(frozen=True, slots=True)
class UserRecord:
    """An account."""

    id: int
    login: str


@dataclass(slots=True)
class AppRecord:
    """A GitHub App and its one installation, on the account ``owner``. Keys are PEM."""

    id: int
    slug: str
    owner: str
    installation_id: int
    private_key: str = field(repr=False)
    public_key: str
    created_at: datetime
    permissions: dict[str, str]
    token_seconds: float
    is_installed: bool = True
    is_suspended: bool = False

    @property
    def login(self) -> str:
        """The account that it acts as."""
        return f"{self.slug}[bot]"

    @property
    def role(self) -> str:
        """What it may do in the repositories of the owner."""
        named = ("contents", "issues", "pull_requests")
        return "write" if all(self.permissions.get(one) == "write" for one in named) else "read"


@dataclass(slots=True)
class LabelRecord:
    """A label of a repository; ``color`` is six hexadecimal digits."""

    id: int
    name: str
    color: str = "ededed"
    description: str | None = None


@dataclass(frozen=True, slots=True)
class EventRecord:
    """Something that happened to an issue; ``actor`` is None for a deleted account."""

    id: int
    kind: str
    actor: str | None
    created_at: datetime
    label: str | None = None
    renamed: tuple[str, str] | None = None


@dataclass(slots=True)
class CommentRecord:
    """A comment on an issue or pull request."""

    id: int
    author: str | None
    body: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class BodyEdit:
    """One change of an issue's text."""

    editor: str | None
    edited_at: datetime


@dataclass(slots=True)
class PullRecord:
    """What a pull request has beyond its issue. ``head`` and ``base`` are branches."""

    head: str
    base: str
    is_draft: bool


@dataclass(slots=True)
class IssueRecord:
    """An issue, or a pull request if ``pull`` is set."""

    id: int
    number: int
    title: str
    body: str | None
    author: str | None
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    labels: list[str] = field(default_factory=list)
    events: list[EventRecord] = field(default_factory=list)
    comments: list[CommentRecord] = field(default_factory=list)
    edits: list[BodyEdit] = field(default_factory=list)
    pull: PullRecord | None = None

    @property
    def is_open(self) -> bool:
        """Whether nobody closed it."""
        return self.closed_at is None


@dataclass(slots=True)
class RepositoryRecord:
    """A repository. ``permissions`` maps logins to roles."""

    id: int
    owner: str
    name: str
    default_branch: str
    is_private: bool
    created_at: datetime
    is_archived: bool = False
    permissions: dict[str, str] = field(default_factory=dict)
    labels: dict[str, LabelRecord] = field(default_factory=dict)
    issues: dict[int, IssueRecord] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    def role_of(self, login: str | None) -> str:
        """What ``login`` may do here."""
        if login is None:
            return "none"
        if login.lower() == self.owner.lower():
            return "admin"
        return self.permissions.get(login.lower(), "none" if self.is_private else "read")


@dataclass(frozen=True, slots=True)
class SeenPullRequest:
    """A pull request as a test reads it back."""

    number: int
    title: str
    body: str
    head: str
    base: str
    author: str | None
    is_draft: bool
    is_open: bool


@dataclass(frozen=True, slots=True)
class SeenComment:
    """A comment as a test reads it back."""

    id: int
    author: str | None
    body: str
