"""``ports.GitHub`` over a session: raw JSON in, this package's values out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from claude_flow.errors import ForbiddenError, GitHubError, NotFoundError, RejectedError
from claude_flow.github import payloads
from claude_flow.github.session import ApiSession
from claude_flow.model.issue import Issue, IssueRef, Repository
from claude_flow.ports import (
    Access,
    Comment,
    LabelEvent,
    PullRequest,
    RateLimit,
    RepositoryInfo,
    TextEdit,
)

_log = logging.getLogger(__name__)

_PAGE = 100  # GitHub's largest
_TEXT_EDITS = (
    "query($owner:String!,$name:String!,$number:Int!)"
    "{repository(owner:$owner,name:$name){issue(number:$number)"
    "{userContentEdits(first:100){nodes{editedAt editor{login}}}}}}"
)


class GitHubClient:
    """GitHub for one account; see ``ports.GitHub``. Safe to use from several threads.

    ``app_login`` gives the login of the GitHub App that the session acts as, None if it has
    somebody's token: then GitHub is asked whose.
    """

    def __init__(
        self, session: ApiSession, *, app_login: Callable[[], str | None] = lambda: None
    ) -> None:
        self._session = session
        self._app_login = app_login
        self._lists: dict[str, tuple[str, list[Issue]]] = {}
        self._own_login: str | None = None
        self._said: set[str] = set()

    def access(self) -> Access:
        """How GitHub takes the token; costs nothing of the hour's requests."""
        try:
            answer = self._session.request("GET", "/rate_limit")
        except NotFoundError:  # an Enterprise server may have limits turned off
            answer = self._session.request("GET", "/meta")
        return payloads.access(answer.headers, self._session.rate_limit)

    def repository(self, repository: Repository) -> RepositoryInfo:
        """The repository under its present name."""
        return payloads.repository_info(self._get(_repository_path(repository)))

    def labelled_issues(self, repository: Repository, label: str) -> list[Issue]:
        """Open issues (no pull requests) with the label, oldest first; free if unchanged.

        An ETag stands for the first page only. Sorted by update, each change shows there, but
        an issue that leaves a later page does not: only a list of one page is kept.
        """
        path = f"{_repository_path(repository)}/issues"
        params: dict[str, str | int] = {
            "labels": label,
            "state": "open",
            "sort": "updated",
            "direction": "desc",
            "per_page": _PAGE,
        }
        key = f"{path}?{label}"
        etag, known = self._lists.get(key, (None, []))
        first = self._session.request("GET", path, params=params, etag=etag)
        if first.is_unchanged:
            return known
        items = payloads.items(first.data)
        if first.next_page is not None:
            items.extend(self._pages(first.next_page))
        found = [payloads.issue(repository, item) for item in items]
        issues = sorted(
            (issue for issue in found if not issue.is_pull_request),
            key=lambda issue: issue.ref.number,
        )
        self._lists.pop(key, None)
        if first.next_page is None and "ETag" in first.headers:
            self._lists[key] = (first.headers["ETag"], issues)
        return issues

    def issue(self, ref: IssueRef) -> Issue:
        """One issue, as it is now."""
        return payloads.issue(ref.repository, self._get(_issue_path(ref)))

    def label_events(self, ref: IssueRef, label: str) -> list[LabelEvent]:
        """The times the label was put on the issue, oldest first."""
        return [
            payloads.label_event(event)
            for event in self._events(ref, "labeled")
            if payloads.label_name(event).lower() == label.lower()
        ]

    def last_edits(self, ref: IssueRef) -> list[TextEdit]:
        """Changes of the issue's title and text, oldest first.

        The REST API tells of new titles only; who changed the text is in GraphQL.
        """
        edits = [payloads.rename(event) for event in self._events(ref, "renamed")]
        edits += [payloads.body_edit(node) for node in self._body_edits(ref)]
        return sorted(edits, key=lambda edit: edit.at)

    def permission(self, repository: Repository, login: str) -> str:
        """``admin``, ``maintain``, ``write``, ``triage``, ``read`` or ``none``.

        A custom role counts as the base role it stands on.
        """
        path = f"{_repository_path(repository)}/collaborators/{quote(login, safe='')}/permission"
        try:
            data = self._get(path)
        except NotFoundError:
            return "none"
        return payloads.role(data)

    def add_label(self, ref: IssueRef, label: str) -> None:
        """Put a label on the issue; GitHub makes it in the repository if it is new."""
        self._session.request("POST", f"{_issue_path(ref)}/labels", body={"labels": [label]})

    def remove_label(self, ref: IssueRef, label: str) -> None:
        """Take a label off the issue; fine if it is not there."""
        try:
            self._session.request("DELETE", f"{_issue_path(ref)}/labels/{quote(label, safe='')}")
        except NotFoundError:
            return

    def comments(self, ref: IssueRef) -> list[Comment]:
        """The comments on the issue, oldest first."""
        found = self._pages(f"{_issue_path(ref)}/comments", {"per_page": _PAGE})
        return [payloads.comment(item) for item in found]

    def upsert_comment(self, ref: IssueRef, *, marker: str, body: str) -> Comment:
        """Edit our own comment that contains ``marker``, or write it if there is none."""
        ours = self._find_comment(ref, marker)
        if ours is None:
            path = f"{_issue_path(ref)}/comments"
            return payloads.comment(self._session.request("POST", path, body={"body": body}).data)
        if ours.body == body:
            return ours
        path = f"{_repository_path(ref.repository)}/issues/comments/{ours.id}"
        return payloads.comment(self._session.request("PATCH", path, body={"body": body}).data)

    def find_pull_request(self, repository: Repository, head_branch: str) -> PullRequest | None:
        """The open pull request from the branch, or None."""
        found = self._get(
            f"{_repository_path(repository)}/pulls",
            {"head": f"{repository.owner}:{head_branch}", "state": "open", "per_page": _PAGE},
        )
        # Some servers answer a head they do not understand with every pull request.
        matching = [
            item for item in payloads.items(found) if payloads.head_branch(item) == head_branch
        ]
        return payloads.pull_request(matching[0]) if matching else None

    def open_pull_request(
        self, repository: Repository, *, head: str, base: str, title: str, body: str, draft: bool
    ) -> PullRequest:
        """Open a pull request; if one is open from ``head``, that one.

        Where the repository's plan has no drafts, an ordinary one.
        """
        known = self.find_pull_request(repository, head)
        if known is not None:
            return known
        request = {"title": title, "head": head, "base": base, "body": body, "draft": draft}
        path = f"{_repository_path(repository)}/pulls"
        try:
            return payloads.pull_request(self._session.request("POST", path, body=request).data)
        except RejectedError as error:
            if draft and "draft" in error.message.lower():
                return self.open_pull_request(
                    repository, head=head, base=base, title=title, body=body, draft=False
                )
            raise

    def update_pull_request(self, repository: Repository, number: int, *, body: str) -> PullRequest:
        """Give an open pull request a new text."""
        path = f"{_repository_path(repository)}/pulls/{number}"
        return payloads.pull_request(self._session.request("PATCH", path, body={"body": body}).data)

    def rate_limit(self) -> RateLimit | None:
        """As the latest answer said; None before the first."""
        return self._session.rate_limit

    def _get(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        return self._session.request("GET", path, params=params).data

    def _pages(
        self, path: str, params: Mapping[str, str | int] | None = None
    ) -> Iterator[Mapping[str, Any]]:
        next_page: str | None = path
        while next_page is not None:
            answer = self._session.request("GET", next_page, params=params)
            yield from payloads.items(answer.data)
            next_page, params = answer.next_page, None

    def _events(self, ref: IssueRef, kind: str) -> list[Mapping[str, Any]]:
        query = {"per_page": _PAGE}
        try:
            found = list(self._pages(f"{_issue_path(ref)}/events", query))
        except NotFoundError:
            # Servers that only resemble GitHub may have the one list and not the other.
            found = list(self._pages(f"{_issue_path(ref)}/timeline", query))
        return [event for event in found if event.get("event") == kind]

    def _body_edits(self, ref: IssueRef) -> list[Mapping[str, Any]]:
        variables = {
            "owner": ref.repository.owner,
            "name": ref.repository.name,
            "number": ref.number,
        }
        try:
            answer = self._session.request(
                "POST",
                self._session.graphql_url,
                body={"query": _TEXT_EDITS, "variables": variables},
            )
        except NotFoundError:
            # GitHub and its Enterprise servers always have GraphQL; nobody can take it from them.
            self._say_once(
                f"{self._session.graphql_url} does not exist: on this server nobody can tell who "
                "edited an issue's text, so only changes of its title are judged"
            )
            return []
        try:
            nodes: list[Mapping[str, Any]] = answer.data["data"]["repository"]["issue"][
                "userContentEdits"
            ]["nodes"]
        except (KeyError, TypeError):
            data = answer.data
            words = str(data.get("errors") if isinstance(data, dict) else data)[:300]
            raise GitHubError(
                f"cannot read who edited {ref}: {words}",
                hint="the token needs read access to issues",
            ) from None
        return nodes

    def _find_comment(self, ref: IssueRef, marker: str) -> Comment | None:
        own_login = self._login()
        for item in self._pages(f"{_issue_path(ref)}/comments", {"per_page": _PAGE}):
            found = payloads.comment(item)
            if marker in found.body and own_login in {None, found.author}:
                return found
        return None

    def _login(self) -> str | None:
        """Who we are, so that nobody else's comment is taken for ours.

        None on a server that does not tell (GitHub does).
        """
        app_login = self._app_login()
        if app_login is not None:
            return app_login
        if self._own_login is None:
            try:
                self._own_login = payloads.own_login(self._get("/user"))
            except NotFoundError:
                self._say_once("the server does not say whose the token is (GET /user)")
            except ForbiddenError as error:
                raise ForbiddenError(
                    "the token may not say whose it is (GET /user)",
                    hint="use a personal access token of the account that shall comment",
                ) from error
        return self._own_login

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            _log.warning("%s", text)


def _repository_path(repository: Repository) -> str:
    return f"/repos/{repository.owner}/{repository.name}"


def _issue_path(ref: IssueRef) -> str:
    return f"{_repository_path(ref.repository)}/issues/{ref.number}"
