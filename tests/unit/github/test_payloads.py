"""Answers that are not what GitHub promises: an error of ours, never another."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.errors import GitHubError
from claude_flow.github import payloads
from claude_flow.model.issue import Repository
from claude_flow.ports import Access

WIDGETS = Repository("octo", "widgets")
READERS: list[Callable[[Any], object]] = [
    payloads.repository_info,
    lambda data: payloads.issue(WIDGETS, data),
    payloads.label_event,
    payloads.rename,
    payloads.body_edit,
    payloads.comment,
    payloads.pull_request,
    payloads.label_name,
    payloads.head_branch,
    payloads.role,
    payloads.own_login,
    payloads.login,
]
NAMES = (
    *("full_name", "default_branch", "number", "title", "labels", "user", "login", "state"),
    *("created_at", "updated_at", "id", "label", "name", "actor", "head", "ref", "permission"),
    *("html_url", "body", "role_name", "editor", "editedAt"),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=12)
    ),
    max_leaves=15,
)


@pytest.mark.parametrize("read", READERS)
@given(data=anything)
def test_any_answer_is_a_value_or_an_error_of_ours(
    read: Callable[[Any], object], data: object
) -> None:
    with contextlib.suppress(GitHubError):
        read(data)


def test_a_deleted_account_has_no_login() -> None:
    edit = payloads.rename({"actor": None, "created_at": "2026-01-31T12:00:00Z"})
    assert edit.actor is None


@pytest.mark.parametrize(
    ("role_name", "permission", "role"),
    [("maintain", "write", "maintain"), ("our-own", "write", "write"), (None, "read", "read")],
)
def test_a_custom_role_counts_as_its_base(
    role_name: str | None, permission: str, role: str
) -> None:
    assert payloads.role({"role_name": role_name, "permission": permission}) == role


def test_headers_tell_scopes_and_time() -> None:
    headers = {"X-OAuth-Scopes": "repo, read:org", "Date": "Sat, 31 Jan 2026 12:00:00 GMT"}
    access = payloads.access(headers, None)
    assert access.scopes == ("repo", "read:org")
    assert access.server_time == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert payloads.access({"X-OAuth-Scopes": ""}, None).scopes == (), "a token without any"
    assert payloads.access({"Date": "soon"}, None) == Access(None, None, None)
