"""Issues and how they are named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from claude_flow.errors import UsageError

# GitHub's own rules: a login has letters, digits and single hyphens; a repository name
# letters, digits, '.', '_' and '-', but is never '.' or '..'.
_OWNER = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})"
_NAME = r"(?!\.{1,2}(?:#|$))[A-Za-z0-9._-]{1,100}"
_REPOSITORY = re.compile(rf"(?P<owner>{_OWNER})/(?P<name>{_NAME})")
_ISSUE = re.compile(rf"(?P<owner>{_OWNER})/(?P<name>{_NAME})#(?P<number>[1-9][0-9]{{0,9}})")


@dataclass(frozen=True, slots=True, order=True)
class Repository:
    """A repository by its owner and name, ``owner/name`` in text."""

    owner: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``owner/name``. Raises UsageError."""
        match = _REPOSITORY.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is not a repository", hint="write it as owner/name")
        return cls(match["owner"], match["name"])

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class IssueRef:
    """One issue's address, ``owner/name#7`` in text."""

    repository: Repository
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``owner/name#7``. Raises UsageError."""
        match = _ISSUE.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is not an issue", hint="write it as owner/name#7")
        return cls(Repository(match["owner"], match["name"]), int(match["number"]))

    def __str__(self) -> str:
        return f"{self.repository}#{self.number}"


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue as GitHub last told it. ``author`` is None for a deleted account."""

    ref: IssueRef
    title: str
    body: str
    labels: frozenset[str]
    author: str | None
    is_open: bool
    is_pull_request: bool
    created_at: datetime
    updated_at: datetime
    url: str
