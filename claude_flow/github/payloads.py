"""From GitHub's JSON to this package's values.

Every function raises GitHubError for an answer that is not what GitHub's API promises: from a
proxy, or a server that only resembles GitHub.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from claude_flow.errors import GitHubError, UsageError
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

_LEGACY_PERMISSIONS = frozenset({"admin", "write", "read", "none"})
_ROLES = _LEGACY_PERMISSIONS | {"maintain", "triage"}

P = ParamSpec("P")
T = TypeVar("T")


def _promised(read: Callable[P, T]) -> Callable[P, T]:
    @wraps(read)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except (AttributeError, KeyError, TypeError, ValueError, UsageError) as error:
            what = read.__name__.replace("_", " ")
            raise GitHubError(
                f"an answer of GitHub's holds no {what} as its API promises "
                f"({type(error).__name__}: {error})",
                hint="is github.api_url GitHub's API, and no proxy in the way?",
            ) from error

    return checked


def moment(text: str) -> datetime:
    """An aware datetime from GitHub's ``2026-01-31T12:00:00Z``."""
    return datetime.fromisoformat(text)


def access(headers: Mapping[str, str], rate_limit: RateLimit | None) -> Access:
    """What an answer's headers tell of the token and the server's time."""
    scopes = headers.get("X-OAuth-Scopes")
    return Access(
        scopes=None if scopes is None else tuple(filter(None, re.split(r"[,\s]+", scopes))),
        server_time=_http_date(headers.get("Date", "")),
        rate_limit=rate_limit,
    )


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None  # a proxy's, perhaps


@_promised
def login(account: Mapping[str, Any] | None) -> str | None:
    """An account's login; GitHub sends null for a deleted one."""
    return None if account is None else str(account["login"])


@_promised
def repository_info(data: Mapping[str, Any]) -> RepositoryInfo:
    """A repository; its present name is in ``full_name``."""
    name = Repository.parse(data["full_name"])
    may_push = (data.get("permissions") or {}).get("push")
    return RepositoryInfo(
        name,
        str(data["default_branch"]),
        bool(data.get("archived")),
        may_push=None if may_push is None else bool(may_push),
    )


@_promised
def issue(repository: Repository, data: Mapping[str, Any]) -> Issue:
    """An issue, or a pull request shown as one. Null bodies become empty."""
    return Issue(
        ref=IssueRef(repository, data["number"]),
        title=data["title"],
        body=data.get("body") or "",
        labels=frozenset(
            label if isinstance(label, str) else label["name"] for label in data["labels"]
        ),
        author=login(data.get("user")),
        is_open=data["state"] == "open",
        is_pull_request="pull_request" in data,
        created_at=moment(data["created_at"]),
        updated_at=moment(data["updated_at"]),
        url=data.get("html_url", ""),
    )


@_promised
def label_event(data: Mapping[str, Any]) -> LabelEvent:
    """A ``labeled`` event of an issue."""
    return LabelEvent(
        data["id"], data["label"]["name"], login(data.get("actor")), moment(data["created_at"])
    )


@_promised
def rename(data: Mapping[str, Any]) -> TextEdit:
    """A ``renamed`` event of an issue: its title was changed."""
    return TextEdit(login(data.get("actor")), moment(data["created_at"]))


@_promised
def body_edit(data: Mapping[str, Any]) -> TextEdit:
    """A node of GraphQL's ``userContentEdits``: the text was changed."""
    return TextEdit(login(data.get("editor")), moment(data["editedAt"]))


@_promised
def comment(data: Mapping[str, Any]) -> Comment:
    """A comment of an issue or pull request."""
    return Comment(
        data["id"],
        login(data.get("user")),
        data.get("body") or "",
        data.get("html_url", ""),
        is_edited=data.get("updated_at") != data.get("created_at"),
    )


@_promised
def pull_request(data: Mapping[str, Any]) -> PullRequest:
    """A pull request, as listed or alone."""
    return PullRequest(
        data["number"], data["html_url"], data["head"]["ref"], data["state"] == "open"
    )


@_promised
def items(data: Any) -> list[Mapping[str, Any]]:
    """A page of a list."""
    if not isinstance(data, list):
        raise TypeError(f"{type(data).__name__} where a list belongs")
    return data


@_promised
def label_name(event: Mapping[str, Any]) -> str:
    """The label of a ``labeled`` event."""
    return str(event["label"]["name"])


@_promised
def head_branch(data: Mapping[str, Any]) -> str:
    """The branch that a pull request would merge."""
    return str(data["head"]["ref"])


@_promised
def role(data: Mapping[str, Any]) -> str:
    """A collaborator's role; a custom one counts as the base role it stands on."""
    named = str(data.get("role_name") or data["permission"])
    return named if named in _ROLES else str(data["permission"])


@_promised
def own_login(data: Mapping[str, Any]) -> str:
    """The login of the account that a token belongs to."""
    return str(data["login"])


@_promised
def app_login(data: Mapping[str, Any]) -> str:
    """The login under which an App comments and opens pull requests."""
    return f"{data['slug']}[bot]"


@_promised
def installation_token(data: Mapping[str, Any]) -> tuple[str, datetime, Mapping[str, str]]:
    """A token of an App's installation, when it expires, and what it may do.

    Permissions map ``contents`` and the like to ``read``, ``write`` or ``admin``.
    """
    token = data["token"]
    if not isinstance(token, str):
        raise TypeError(f"{type(token).__name__} where a token belongs")
    return token, moment(data["expires_at"]), dict(data.get("permissions") or {})
