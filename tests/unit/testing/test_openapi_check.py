"""The checker must find what is wrong: it is what keeps the stand-in honest."""

import json
from dataclasses import replace
from typing import Any

import pytest

from claude_flow.testing.clock import FakeClock
from claude_flow.testing.exchange import Exchange
from claude_flow.testing.git_side import MemoryGit
from claude_flow.testing.github_api import EDITS_QUERY
from claude_flow.testing.github_json import Renderer
from claude_flow.testing.github_state import GitHubState
from claude_flow.testing.openapi_check import faults_of

ISSUE = "/repos/{owner}/{repo}/issues/{issue_number}"
PATH = "/repos/octo/widgets/issues/1"


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture(scope="module")
def issue() -> dict[str, Any]:
    state = GitHubState(MemoryGit(), FakeClock())
    state.add_repository("octo/widgets")
    ref = state.open_issue("octo/widgets", "T", "B", "alice", ["bug"])
    record, issue = state.issue(ref)
    renderer = Renderer("http://127.0.0.1:1", "http://127.0.0.1:2")
    return renderer.issue(record, issue, state.add_user("alice"))


@pytest.fixture
def read(issue: dict[str, Any]) -> Exchange:
    return Exchange("GET", PATH, ISSUE, "", {}, b"", 200, {}, _json(issue), scripted=False)


@pytest.fixture
def label() -> Exchange:
    body = _json({"labels": ["bug"]})
    template = f"{ISSUE}/labels"
    return Exchange(
        "POST", f"{PATH}/labels", template, "", {}, body, 200, {}, b"[]", scripted=False
    )


def test_what_is_right_passes(read: Exchange, label: Exchange) -> None:
    assert faults_of(read) == []
    assert faults_of(label) == []


def test_a_missing_key_is_found(read: Exchange, issue: dict[str, Any]) -> None:
    del issue["comments_url"]
    try:
        (fault,) = faults_of(replace(read, response_body=_json(issue)))
    finally:
        issue["comments_url"] = "http://127.0.0.1:1/"
    assert "'comments_url' is a required property" in fault


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"surprise": 1}, "'surprise' was unexpected"),
        ({"number": "1"}, "$.number: '1' is not of type 'integer'"),
        ({"user": {"login": "alice"}}, "$.user"),
        ({"labels": [{"name": "bug", "surprise": 1}]}, "$.labels[0]"),
    ],
)
def test_a_wrong_answer_is_found(
    read: Exchange, issue: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    faults = faults_of(replace(read, response_body=_json(issue | changes)))
    assert any(words in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"labels": ["bug"], "surprise": 1}, "request"),
        ({"labels": "bug"}, "request"),
        ({"labels": []}, "request"),
        ({"label": ["bug"]}, "request"),
    ],
)
def test_a_wrong_request_is_found(label: Exchange, body: Any, words: str) -> None:
    faults = faults_of(replace(label, request_body=_json(body)))
    assert any(fault.startswith(words) for fault in faults), faults


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("stat=open", "'stat' is not known to GitHub"),
        ("state=opened", "'opened' is not one of"),
        ("per_page=many", "'many' is not of type 'integer'"),
        ("since=yesterday", "'yesterday' is not a 'date-time'"),
    ],
)
def test_a_wrong_query_is_found(query: str, words: str) -> None:
    exchange = Exchange(
        "GET",
        "/repos/octo/widgets/issues",
        "/repos/{owner}/{repo}/issues",
        query,
        {},
        b"",
        200,
        {},
        b"[]",
        scripted=False,
    )
    (fault,) = faults_of(exchange)
    assert words in fault


def test_what_is_not_described_is_found(read: Exchange) -> None:
    assert faults_of(replace(read, template=None)) != []
    assert faults_of(replace(read, method="DELETE")) != []
    assert faults_of(replace(read, status=201)) == ["answer: GitHub does not answer 201 here"]
    assert faults_of(replace(read, path="/repos/octo/widgets/issues/one")) != []
    assert faults_of(replace(read, request_body=b"{}")) != []
    assert faults_of(replace(read, status=304)) == ["answer: a 304 has no body"]


def test_a_scripted_answer_is_not_the_stand_in_s_own(read: Exchange) -> None:
    broken = replace(read, status=500, response_body=b"<html>")
    assert faults_of(broken) != []
    assert faults_of(replace(broken, scripted=True)) == []


def test_the_one_graphql_query_is_checked() -> None:
    variables = {"owner": "octo", "name": "widgets", "number": 1}
    good = {"query": EDITS_QUERY, "variables": variables}
    exchange = Exchange("POST", "/graphql", "/graphql", "", {}, b"", 200, {}, b"{}", scripted=False)
    assert faults_of(replace(exchange, request_body=_json(good))) == []
    for bad in (
        good | {"query": "query{viewer{login}}"},
        good | {"variables": variables | {"number": "1"}},
        good | {"variables": {}},
    ):
        assert faults_of(replace(exchange, request_body=_json(bad))) != []
