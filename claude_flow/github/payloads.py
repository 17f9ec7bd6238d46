"""From GitHub's JSON to this package's values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from claude_flow.model.issue import Issue, IssueRef, Repository
from claude_flow.ports import Comment, LabelEvent, PullRequest, RepositoryInfo, TextEdit


def moment(text: str) -> datetime:
    """An aware datetime from GitHub's ``2026-01-31T12:00:00Z``."""
    return datetime.fromisoformat(text)


def login(account: Mapping[str, Any] | None) -> str | None:
    """An account's login; GitHub sends null for a deleted one."""
    return None if account is None else str(account["login"])


def repository_info(data: Mapping[str, Any]) -> RepositoryInfo:
    """A repository; its present name is in ``full_name``."""
    return RepositoryInfo(
        Repository.parse(data["full_name"]), data["default_branch"], bool(data.get("archived"))
    )


def issue(repository: Repository, data: Mapping[str, Any]) -> Issue:
    """An issue, or a pull request shown as one. Null bodies become empty."""
    return Issue(
        ref=IssueRef(repository, data["number"]),
        title=data["title"],
        body=data.get("body") or "",
        labels=frozenset(
            label if isinstance(label, str) else label["name"] for label in data["labels"]
        ),
        author=login(data["user"]),
        is_open=data["state"] == "open",
        is_pull_request="pull_request" in data,
        created_at=moment(data["created_at"]),
        updated_at=moment(data["updated_at"]),
        url=data["html_url"],
    )


def label_event(data: Mapping[str, Any]) -> LabelEvent:
    """A ``labeled`` event of an issue."""
    return LabelEvent(
        data["id"], data["label"]["name"], login(data["actor"]), moment(data["created_at"])
    )


def rename(data: Mapping[str, Any]) -> TextEdit:
    """A ``renamed`` event of an issue: its title was changed."""
    return TextEdit(login(data["actor"]), moment(data["created_at"]))


def body_edit(data: Mapping[str, Any]) -> TextEdit:
    """A node of GraphQL's ``userContentEdits``: the text was changed."""
    return TextEdit(login(data["editor"]), moment(data["editedAt"]))


def comment(data: Mapping[str, Any]) -> Comment:
    """A comment of an issue or pull request."""
    return Comment(data["id"], login(data["user"]), data.get("body") or "", data["html_url"])


def pull_request(data: Mapping[str, Any]) -> PullRequest:
    """A pull request, as listed or alone."""
    return PullRequest(
        data["number"], data["html_url"], data["head"]["ref"], data["state"] == "open"
    )
