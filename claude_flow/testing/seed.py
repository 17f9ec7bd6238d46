"""Fills a stand-in GitHub from a description in JSON.

::

    {"users": ["alice"], "tokens": ["a token the service was given beforehand"],
     "repositories": [{"name": "octo/widgets", "files": {"a.py": "x = 1"},
                       "permissions": {"alice": "write"}, "default_branch": "main",
                       "private": false, "labels": ["bug"], "protected_branches": ["main"]}],
     "issues": [{"repository": "octo/widgets", "title": "T", "body": "B", "author": "alice",
                 "labels": ["bug"], "labelled_by": "alice"}]}

``body`` and a file's text may be a list of lines. All but names and titles may be left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from claude_flow.model.issue import IssueRef
from claude_flow.testing.github_state import GitHubState


def plant(state: GitHubState, seed: Mapping[str, Any]) -> list[IssueRef]:
    """Make what ``seed`` describes; the issues, in its order."""
    for login in seed.get("users", []):
        state.add_user(login)
    for token in seed.get("tokens", []):
        state.restore_token(token)
    for repository in seed.get("repositories", []):
        files = {path: _text(text) for path, text in repository.get("files", {}).items()}
        state.add_repository(
            repository["name"],
            files=files if "files" in repository else None,
            permissions=repository.get("permissions"),
            default_branch=repository.get("default_branch", "main"),
            private=repository.get("private", False),
            labels=repository.get("labels", []),
        )
        for branch in repository.get("protected_branches", []):
            state.protect_branch(repository["name"], branch)
    return [_plant_issue(state, issue) for issue in seed.get("issues", [])]


def _plant_issue(state: GitHubState, issue: Mapping[str, Any]) -> IssueRef:
    author = issue.get("author", "octocat")
    body = _text(issue.get("body", ""))
    ref = state.open_issue(issue["repository"], issue["title"], body, author)
    for label in issue.get("labels", []):
        state.label_issue(ref, label, issue.get("labelled_by", author))
    return ref


def _text(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else "".join(f"{line}\n" for line in value)
