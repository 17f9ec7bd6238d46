"""The stand-in GitHub's memory: what is there, and the changes both its sides make."""

from __future__ import annotations

import itertools
import secrets
import threading
from datetime import datetime, timedelta

from claude_flow.model.issue import IssueRef, Repository
from claude_flow.ports import Clock
from claude_flow.testing.git_side import GitSide
from claude_flow.testing.records import (
    AppRecord,
    BodyEdit,
    CommentRecord,
    EventRecord,
    IssueRecord,
    LabelRecord,
    PullRecord,
    RepositoryRecord,
    UserRecord,
)

SERVICE_LOGIN = "claude-flow-bot"
"""The account whose token the service gets."""


class GitHubMemory:
    """Accounts, repositories and issues. Whoever reads or changes them holds ``lock``."""

    def __init__(self, git: GitSide, clock: Clock) -> None:
        self.lock = threading.RLock()
        self.git = git
        self.clock = clock
        self.repositories: dict[str, RepositoryRecord] = {}
        self.renames: dict[str, str] = {}
        self.users: dict[str, UserRecord] = {}
        self.tokens: dict[str, str] = {}
        self.apps: dict[int, AppRecord] = {}
        self._token_ends: dict[str, datetime] = {}
        self._ids = itertools.count(1001)
        self.add_user(SERVICE_LOGIN)

    def add_user(self, login: str) -> UserRecord:
        """Open an account, or give the one there is."""
        with self.lock:
            key = login.lower()
            if key not in self.users:
                self.users[key] = UserRecord(self.next_id(), login)
            return self.users[key]

    def account_of(self, token: str) -> str | None:
        """Whose a token is; None for one that is unknown, revoked or has expired."""
        ends = self._token_ends.get(token)
        return None if ends is not None and ends <= self.clock() else self.tokens.get(token)

    def new_app_token(self, app: AppRecord) -> tuple[str, datetime]:
        """A token of the App's installation in GitHub's long form, and when it expires."""
        parts = ".".join(secrets.token_urlsafe(128) for _ in range(3))
        token, ends = f"ghs_{app.id}_{parts}", self.clock() + timedelta(seconds=app.token_seconds)
        self.tokens[token] = self.add_user(app.login).login
        self._token_ends[token] = ends
        return token, ends

    def now(self) -> datetime:
        """The moment, to the second, as GitHub keeps it."""
        return self.clock().replace(microsecond=0)

    def next_id(self) -> int:
        """An id no other thing has; later things have greater ones."""
        return next(self._ids)

    def find_repository(self, full_name: str) -> tuple[RepositoryRecord | None, bool]:
        """The repository under its present or a former name, and whether it was a former."""
        key = full_name.lower()
        if key in self.repositories:
            return self.repositories[key], False
        seen: set[str] = set()
        while key in self.renames and key not in seen:
            seen.add(key)
            key = self.renames[key].lower()
        return self.repositories.get(key), True

    def repository(self, name: str | Repository) -> RepositoryRecord:
        """The repository; KeyError if there is none."""
        record, _ = self.find_repository(str(name))
        if record is None:
            raise KeyError(f"no repository {name} in this world")
        return record

    def issue(self, ref: str | IssueRef) -> tuple[RepositoryRecord, IssueRecord]:
        """The issue and its repository; KeyError if there is none."""
        parsed = ref if isinstance(ref, IssueRef) else IssueRef.parse(ref)
        record = self.repository(parsed.repository)
        return record, record.issues[parsed.number]

    def new_issue(
        self, record: RepositoryRecord, title: str, body: str | None, author: str
    ) -> IssueRecord:
        """Add an issue under the next number."""
        now = self.now()
        number = max(record.issues, default=0) + 1
        issue = IssueRecord(self.next_id(), number, title, body, author, now, now)
        record.issues[number] = issue
        return issue

    def new_pull(
        self, record: RepositoryRecord, title: str, body: str | None, author: str, pull: PullRecord
    ) -> IssueRecord:
        """Add a pull request under the next number."""
        issue = self.new_issue(record, title, body, author)
        issue.pull = pull
        return issue

    def repository_label(
        self, record: RepositoryRecord, name: str, color: str = "ededed"
    ) -> LabelRecord:
        """The repository's label, made if it is new; names differ by more than case."""
        key = name.lower()
        if key not in record.labels:
            record.labels[key] = LabelRecord(self.next_id(), name, color)
        return record.labels[key]

    def put_label(
        self, record: RepositoryRecord, issue: IssueRecord, name: str, actor: str | None
    ) -> None:
        """Put a label on and remember who did; nothing if it is there."""
        label = self.repository_label(record, name)
        if label.name not in issue.labels:
            issue.labels.append(label.name)
            self._happen(issue, "labeled", actor, label=label.name)

    def take_label(self, issue: IssueRecord, name: str, actor: str | None) -> bool:
        """Take a label off; False if it is not there."""
        for label in issue.labels:
            if label.lower() == name.lower():
                issue.labels.remove(label)
                self._happen(issue, "unlabeled", actor, label=label)
                return True
        return False

    def change_text(
        self, issue: IssueRecord, *, title: str | None, body: str | None, editor: str | None
    ) -> None:
        """Change title or text and remember who did."""
        if editor is not None:
            self.add_user(editor)
        if title is not None and title != issue.title:
            self._happen(issue, "renamed", editor, renamed=(issue.title, title))
            issue.title = title
        if body is not None and body != issue.body:
            issue.edits.append(BodyEdit(editor, self.now()))
            issue.body = body
            issue.updated_at = self.now()

    def set_open(self, issue: IssueRecord, *, is_open: bool, actor: str | None) -> None:
        """Close or reopen; nothing if it is so already."""
        if issue.is_open != is_open:
            issue.closed_at = None if is_open else self.now()
            self._happen(issue, "reopened" if is_open else "closed", actor)

    def add_comment(self, issue: IssueRecord, body: str, author: str) -> CommentRecord:
        """Add a comment."""
        now = self.now()
        comment = CommentRecord(self.next_id(), author, body, now, now)
        issue.comments.append(comment)
        issue.updated_at = now
        return comment

    def _happen(
        self,
        issue: IssueRecord,
        kind: str,
        actor: str | None,
        *,
        label: str | None = None,
        renamed: tuple[str, str] | None = None,
    ) -> None:
        if actor is not None:
            self.add_user(actor)
        now = self.now()
        issue.events.append(EventRecord(self.next_id(), kind, actor, now, label, renamed))
        issue.updated_at = now
