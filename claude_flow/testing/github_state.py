"""The handle on the stand-in GitHub, by which a test or demo plays its people."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace

from claude_flow.model.issue import IssueRef, Repository
from claude_flow.testing.apps_api import new_key_pair
from claude_flow.testing.github_memory import SERVICE_LOGIN, GitHubMemory
from claude_flow.testing.records import (
    ROLES,
    AppRecord,
    BodyEdit,
    IssueRecord,
    RepositoryRecord,
    SeenComment,
    SeenPullRequest,
)

__all__ = ["SERVICE_LOGIN", "GitHubState"]

APP_SLUG = "claude-flow-app"
APP_PERMISSIONS = {
    "contents": "write",
    "issues": "write",
    "metadata": "read",
    "pull_requests": "write",
}


class GitHubState(GitHubMemory):
    """Accounts, repositories, issues and what people do with them; safe between threads.

    Repositories are named by ``"owner/name"`` or ``Repository``, issues by ``"owner/name#7"``
    or ``IssueRef``; old names of renamed repositories work. People named for the first time
    get an account.
    """

    # --- the scene ---

    def add_token(self, login: str = SERVICE_LOGIN) -> str:
        """A new access token of the account."""
        token = f"ghp_{secrets.token_hex(18)}"
        with self.lock:
            self.tokens[token] = self.add_user(login).login
        return token

    def revoke_token(self, token: str) -> None:
        """Refuse the token from now on."""
        with self.lock:
            del self.tokens[token]

    def restore_token(self, token: str, login: str = SERVICE_LOGIN) -> None:
        """Take a given token (again)."""
        with self.lock:
            self.tokens[token] = self.add_user(login).login

    def install_app(
        self,
        owner: str,
        slug: str = APP_SLUG,
        *,
        permissions: Mapping[str, str] = APP_PERMISSIONS,
        token_seconds: float = 3600,
    ) -> AppRecord:
        """Make a GitHub App and install it on all repositories of an account, future ones too."""
        private_key, public_key = new_key_pair()
        with self.lock:
            app = AppRecord(
                id=self.next_id(),
                slug=slug,
                owner=self.add_user(owner).login,
                installation_id=self.next_id(),
                private_key=private_key,
                public_key=public_key,
                created_at=self.now(),
                permissions=dict(permissions),
                token_seconds=token_seconds,
            )
            self.apps[app.id] = app
            for record in self.repositories.values():
                self._let_apps_in(record)
        return app

    def revoke_app_tokens(self, app: AppRecord) -> list[str]:
        """Refuse all tokens that the App has, as after a change of its rights; those."""
        with self.lock:
            revoked = [token for token, login in self.tokens.items() if login == app.login]
            for token in revoked:
                del self.tokens[token]
            return revoked

    def _let_apps_in(self, record: RepositoryRecord) -> None:
        for app in self.apps.values():
            if app.owner.lower() == record.owner.lower():
                record.permissions[app.login.lower()] = app.role

    def add_repository(
        self,
        full_name: str | Repository,
        *,
        files: Mapping[str, str] | None = None,
        permissions: Mapping[str, str] | None = None,
        default_branch: str = "main",
        private: bool = False,
        labels: Iterable[str] = (),
    ) -> Repository:
        """Make a repository with one commit; the service's account may write unless told."""
        repository = Repository.parse(str(full_name))
        roles = {SERVICE_LOGIN: "write"} | dict(permissions or {})
        unknown = set(roles.values()) - set(ROLES)
        if unknown:
            raise ValueError(f"no such permission: {sorted(unknown)}; there are {ROLES}")
        with self.lock:
            for login in (repository.owner, *roles):
                self.add_user(login)
            record = RepositoryRecord(
                id=self.next_id(),
                owner=repository.owner,
                name=repository.name,
                default_branch=default_branch,
                is_private=private,
                created_at=self.now(),
                permissions={login.lower(): role for login, role in roles.items()},
            )
            start = {"README.md": f"# {repository.name}\n"} if files is None else files
            self._let_apps_in(record)
            self.git.create(record.full_name, start, default_branch)
            self.repositories[record.full_name.lower()] = record
            for label in labels:
                self.repository_label(record, label)
        return repository

    def set_permission(self, repository: str | Repository, login: str, role: str) -> None:
        """Give an account another role in the repository."""
        with self.lock:
            self.add_user(login)
            self.repository(repository).permissions[login.lower()] = role

    def archive_repository(self, repository: str | Repository) -> None:
        """Make the repository read-only, as GitHub shows it."""
        with self.lock:
            self.repository(repository).is_archived = True

    def rename_repository(self, repository: str | Repository, new_name: str) -> Repository:
        """Give the repository another name (or ``owner/name``); the old one redirects."""
        with self.lock:
            record = self.repository(repository)
            old = record.full_name
            new = Repository.parse(new_name if "/" in new_name else f"{record.owner}/{new_name}")
            self.git.move(old, str(new))
            del self.repositories[old.lower()]
            record.owner, record.name = new.owner, new.name
            self.repositories[str(new).lower()] = record
            self.renames[old.lower()] = str(new)
            self.renames.pop(str(new).lower(), None)
            return new

    def protect_branch(self, repository: str | Repository, branch: str) -> None:
        """Refuse every push to the branch from now on."""
        with self.lock:
            self.git.protect(self.repository(repository).full_name, branch)

    # --- what people do ---

    def open_issue(
        self,
        repository: str | Repository,
        title: str,
        body: str | None = "",
        author: str = "octocat",
        labels: Iterable[str] = (),
    ) -> IssueRef:
        """Open an issue; ``labels`` are put on by the author."""
        with self.lock:
            record = self.repository(repository)
            issue = self.new_issue(record, title, body, self.add_user(author).login)
            for label in labels:
                self.put_label(record, issue, label, author)
            return IssueRef(Repository(record.owner, record.name), issue.number)

    def label_issue(self, ref: str | IssueRef, label: str, actor: str | None = "octocat") -> None:
        """Put a label on an issue, by ``actor``."""
        with self.lock:
            record, issue = self.issue(ref)
            self.put_label(record, issue, label, actor)

    def unlabel_issue(self, ref: str | IssueRef, label: str, actor: str = "octocat") -> None:
        """Take a label off an issue."""
        with self.lock:
            _, issue = self.issue(ref)
            self.take_label(issue, label, actor)

    def edit_issue(
        self,
        ref: str | IssueRef,
        *,
        title: str | None = None,
        body: str | None = None,
        editor: str | None = "octocat",
    ) -> None:
        """Change an issue's title, text or both."""
        with self.lock:
            _, issue = self.issue(ref)
            self.change_text(issue, title=title, body=body, editor=editor)

    def close_issue(self, ref: str | IssueRef, actor: str = "octocat") -> None:
        """Close an issue or pull request."""
        with self.lock:
            _, issue = self.issue(ref)
            self.set_open(issue, is_open=False, actor=actor)

    def reopen_issue(self, ref: str | IssueRef, actor: str = "octocat") -> None:
        """Open it again."""
        with self.lock:
            _, issue = self.issue(ref)
            self.set_open(issue, is_open=True, actor=actor)

    def comment(self, ref: str | IssueRef, body: str, author: str = "octocat") -> int:
        """Comment on an issue; the comment's id."""
        with self.lock:
            _, issue = self.issue(ref)
            return self.add_comment(issue, body, self.add_user(author).login).id

    def delete_account(self, login: str) -> None:
        """Delete an account: what it did stays, its name goes."""
        with self.lock:
            self.users.pop(login.lower(), None)
            for _, issue in self._all_issues():
                if issue.author == login:
                    issue.author = None
                issue.events = [
                    replace(event, actor=None) if event.actor == login else event
                    for event in issue.events
                ]
                issue.edits = [
                    BodyEdit(None, edit.edited_at) if edit.editor == login else edit
                    for edit in issue.edits
                ]
                for comment in issue.comments:
                    comment.author = None if comment.author == login else comment.author

    def commit(
        self,
        repository: str | Repository,
        branch: str,
        files: Mapping[str, str],
        message: str = "Change",
        author: str = "octocat",
    ) -> str:
        """Push a commit to a branch as somebody else would; the new commit."""
        with self.lock:
            name = self.repository(repository).full_name
            return self.git.commit(name, branch, files, message, author=author)

    # --- reading back ---

    def labels(self, ref: str | IssueRef) -> frozenset[str]:
        """The labels an issue carries."""
        with self.lock:
            return frozenset(self.issue(ref)[1].labels)

    def is_open(self, ref: str | IssueRef) -> bool:
        """Whether the issue is open."""
        with self.lock:
            return self.issue(ref)[1].is_open

    def comments(self, ref: str | IssueRef) -> list[SeenComment]:
        """The comments on an issue, oldest first."""
        with self.lock:
            return [
                SeenComment(comment.id, comment.author, comment.body)
                for comment in self.issue(ref)[1].comments
            ]

    def pull_requests(self, repository: str | Repository) -> list[SeenPullRequest]:
        """All pull requests of a repository, oldest first."""
        with self.lock:
            return [
                SeenPullRequest(
                    number=issue.number,
                    title=issue.title,
                    body=issue.body or "",
                    head=issue.pull.head,
                    base=issue.pull.base,
                    author=issue.author,
                    is_draft=issue.pull.is_draft,
                    is_open=issue.is_open,
                )
                for issue in self.repository(repository).issues.values()
                if issue.pull is not None
            ]

    def branches(self, repository: str | Repository) -> dict[str, str]:
        """The branches on the git server and their commits."""
        with self.lock:
            return self.git.branches(self.repository(repository).full_name)

    def files(self, repository: str | Repository, branch: str = "main") -> dict[str, str]:
        """The contents of a branch on the git server."""
        with self.lock:
            return self.git.files(self.repository(repository).full_name, branch)

    def _all_issues(self) -> Iterable[tuple[RepositoryRecord, IssueRecord]]:
        for record in self.repositories.values():
            for issue in record.issues.values():
                yield record, issue
