"""``ports.GitHub`` in memory, for tests that need no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

from claude_flow.errors import (
    ForbiddenError,
    GitHubError,
    NotFoundError,
    RejectedError,
    TokenRefusedError,
)
from claude_flow.model.issue import Issue, IssueRef, Repository
from claude_flow.ports import (
    Clock,
    Comment,
    LabelEvent,
    PullRequest,
    RateLimit,
    RepositoryInfo,
    TextEdit,
)
from claude_flow.testing.git_side import MemoryGit
from claude_flow.testing.github_state import SERVICE_LOGIN, GitHubState
from claude_flow.testing.records import (
    CommentRecord,
    IssueRecord,
    PullRecord,
    RepositoryRecord,
    role_at_least,
)

WEB = "https://github.example"
_LIMIT = 5000


class FakeGitHub:
    """GitHub as the port sees it. ``state`` plays its people, as in a ``World``.

    ``errors`` are raised by the next calls, one each; ``calls`` names the calls so far.
    ``on_call`` is told each call's name before it takes effect, and may raise.
    """

    def __init__(self, clock: Clock, login: str = SERVICE_LOGIN) -> None:
        self.state = GitHubState(MemoryGit(), clock)
        self.token = self.state.add_token(login)
        self.errors: list[GitHubError] = []
        self.calls: list[str] = []
        self.on_call: Callable[[str], None] = lambda _: None
        self._login = login

    def repository(self, repository: Repository) -> RepositoryInfo:
        """See ``ports.GitHub``."""
        with self._call("repository"):
            record = self._repository(repository)
            present = Repository(record.owner, record.name)
            return RepositoryInfo(present, record.default_branch, record.is_archived)

    def labelled_issues(self, repository: Repository, label: str) -> list[Issue]:
        """See ``ports.GitHub``."""
        with self._call("labelled_issues"):
            record = self._repository(repository)
            return [
                _issue(repository, record, issue)
                for _, issue in sorted(record.issues.items())
                if issue.is_open
                and issue.pull is None
                and label.lower() in {one.lower() for one in issue.labels}
            ]

    def issue(self, ref: IssueRef) -> Issue:
        """See ``ports.GitHub``."""
        with self._call("issue"):
            record, issue = self._issue(ref)
            return _issue(ref.repository, record, issue)

    def label_events(self, ref: IssueRef, label: str) -> list[LabelEvent]:
        """See ``ports.GitHub``."""
        with self._call("label_events"):
            _, issue = self._issue(ref)
            return [
                LabelEvent(event.id, event.label, event.actor, event.created_at)
                for event in issue.events
                if event.kind == "labeled"
                and event.label is not None
                and event.label.lower() == label.lower()
            ]

    def last_edits(self, ref: IssueRef) -> list[TextEdit]:
        """See ``ports.GitHub``."""
        with self._call("last_edits"):
            _, issue = self._issue(ref)
            edits = [
                TextEdit(event.actor, event.created_at)
                for event in issue.events
                if event.kind == "renamed"
            ]
            edits += [TextEdit(edit.editor, edit.edited_at) for edit in issue.edits]
            if issue.edits:
                # Once a text was changed, GitHub lists its first version as an edit too.
                edits.append(TextEdit(issue.author, issue.created_at))
            return sorted(edits, key=lambda edit: edit.at)

    def permission(self, repository: Repository, login: str) -> str:
        """See ``ports.GitHub``."""
        with self._call("permission"):
            record = self._repository(repository)
            if not role_at_least(record.role_of(self._login), "write"):
                raise ForbiddenError("Must have push access to view collaborator permission.")
            is_known = login.lower() in self.state.users
            return record.role_of(login) if is_known else "none"

    def add_label(self, ref: IssueRef, label: str) -> None:
        """See ``ports.GitHub``."""
        with self._call("add_label"):
            record, issue = self._writable_issue(ref)
            self.state.put_label(record, issue, label, self._login)

    def remove_label(self, ref: IssueRef, label: str) -> None:
        """See ``ports.GitHub``."""
        with self._call("remove_label"):
            _, issue = self._writable_issue(ref)
            self.state.take_label(issue, label, self._login)

    def comments(self, ref: IssueRef) -> list[Comment]:
        """See ``ports.GitHub``."""
        with self._call("comments"):
            _, issue = self._issue(ref)
            return [_comment(ref, one) for one in issue.comments]

    def upsert_comment(self, ref: IssueRef, *, marker: str, body: str) -> Comment:
        """See ``ports.GitHub``."""
        with self._call("upsert_comment"):
            _, issue = self._issue(ref)
            ours = (one for one in issue.comments if one.author == self._login)
            comment = next((one for one in ours if marker in one.body), None)
            if comment is None:
                comment = self.state.add_comment(issue, body, self._login)
            elif comment.body != body:
                comment.updated_at = self.state.now()
            comment.body = body
            return _comment(ref, comment)

    def find_pull_request(self, repository: Repository, head_branch: str) -> PullRequest | None:
        """See ``ports.GitHub``."""
        with self._call("find_pull_request"):
            return _open_pull(self._repository(repository), head_branch)

    def open_pull_request(
        self, repository: Repository, *, head: str, base: str, title: str, body: str, draft: bool
    ) -> PullRequest:
        """See ``ports.GitHub``."""
        with self._call("open_pull_request"):
            record = self._repository(repository)
            known = _open_pull(record, head)
            if known is not None:
                return known
            self._check_writable(record)
            branches = self.state.git.branches(record.full_name)
            for branch in (head, base):
                if branch not in branches:
                    raise RejectedError(f"Validation Failed: no branch {branch}")
            if self.state.git.ahead(record.full_name, base, head) == 0:
                raise RejectedError(f"No commits between {base} and {head}")
            pull = PullRecord(head, base, draft)
            return _pull(record, self.state.new_pull(record, title, body, self._login, pull))

    def update_pull_request(self, repository: Repository, number: int, *, body: str) -> PullRequest:
        """See ``ports.GitHub``."""
        with self._call("update_pull_request"):
            record = self._repository(repository)
            issue = record.issues.get(number)
            if issue is None or issue.pull is None:
                raise NotFoundError(f"{repository} has no pull request {number}")
            self._check_writable(record)
            self.state.change_text(issue, title=None, body=body, editor=self._login)
            return _pull(record, issue)

    def rate_limit(self) -> RateLimit | None:
        """See ``ports.GitHub``."""
        if not self.calls:
            return None
        resets_at = self.state.now() + timedelta(hours=1)
        return RateLimit(_LIMIT, max(_LIMIT - len(self.calls), 0), resets_at)

    def _call(self, name: str) -> AbstractContextManager[bool]:
        """Count the call and fail it if that is planned; the state is locked until its end."""
        self.calls.append(name)
        self.on_call(name)
        if self.errors:
            raise self.errors.pop(0)
        if self.token not in self.state.tokens:
            raise TokenRefusedError("Bad credentials", hint="set a new github.token")
        return self.state.lock

    def _repository(self, repository: Repository) -> RepositoryRecord:
        record, _ = self.state.find_repository(str(repository))
        if record is None or record.role_of(self._login) == "none":
            raise NotFoundError(f"{repository}: Not Found", hint="check the name")
        return record

    def _issue(self, ref: IssueRef) -> tuple[RepositoryRecord, IssueRecord]:
        record = self._repository(ref.repository)
        if ref.number not in record.issues:
            raise NotFoundError(f"{ref}: Not Found", hint="check the number")
        return record, record.issues[ref.number]

    def _writable_issue(self, ref: IssueRef) -> tuple[RepositoryRecord, IssueRecord]:
        record, issue = self._issue(ref)
        self._check_writable(record, "triage")
        return record, issue

    def _check_writable(self, record: RepositoryRecord, least: str = "write") -> None:
        if record.is_archived or not role_at_least(record.role_of(self._login), least):
            raise ForbiddenError(f"{self._login} may not change {record.full_name}")


def _issue(repository: Repository, record: RepositoryRecord, issue: IssueRecord) -> Issue:
    kind = "issues" if issue.pull is None else "pull"
    return Issue(
        ref=IssueRef(repository, issue.number),
        title=issue.title,
        body=issue.body or "",
        labels=frozenset(issue.labels),
        author=issue.author,
        is_open=issue.is_open,
        is_pull_request=issue.pull is not None,
        created_at=issue.created_at,
        updated_at=issue.updated_at,
        url=f"{WEB}/{record.full_name}/{kind}/{issue.number}",
    )


def _pull(record: RepositoryRecord, issue: IssueRecord) -> PullRequest:
    url = f"{WEB}/{record.full_name}/pull/{issue.number}"
    head = issue.pull.head if issue.pull is not None else ""
    return PullRequest(issue.number, url, head, issue.is_open)


def _open_pull(record: RepositoryRecord, head: str) -> PullRequest | None:
    for issue in record.issues.values():
        if issue.is_open and issue.pull is not None and issue.pull.head == head:
            return _pull(record, issue)
    return None


def _comment(ref: IssueRef, comment: CommentRecord) -> Comment:
    url = f"{WEB}/{ref.repository}/issues/{ref.number}#issuecomment-{comment.id}"
    is_edited = comment.updated_at != comment.created_at
    return Comment(comment.id, comment.author, comment.body, url, is_edited=is_edited)
