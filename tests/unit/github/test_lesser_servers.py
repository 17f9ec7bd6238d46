"""The client against a server that only resembles GitHub: parts of the API are missing."""

from __future__ import annotations

import pytest

from claude_flow.github import ApiSession, GitHubClient
from claude_flow.testing.world import World

OFTEN = 100


@pytest.fixture
def client(session: ApiSession) -> GitHubClient:
    return GitHubClient(session)


def test_label_events_come_from_the_timeline_where_there_are_no_events(
    world: World, client: GitHubClient
) -> None:
    issue = world.github.open_issue("octo/widgets", "T", "B", "octocat")
    world.github.label_issue(issue, "go", "octocat")
    world.server.faults.fail(404, times=OFTEN, path=f"/issues/{issue.number}/events")

    assert [event.actor for event in client.label_events(issue, "go")] == ["octocat"]


def test_without_graphql_titles_are_judged_and_the_lack_is_said_once(
    world: World, client: GitHubClient, caplog: pytest.LogCaptureFixture
) -> None:
    issue = world.github.open_issue("octo/widgets", "T", "B", "octocat")
    world.github.edit_issue(issue, title="Other", editor="octocat")
    world.server.faults.fail(404, times=OFTEN, path="/graphql")

    for _ in range(2):
        assert [edit.actor for edit in client.last_edits(issue)] == ["octocat"]
    assert [record for record in caplog.records if "/graphql" in record.message] == [
        caplog.records[0]
    ]


def test_without_user_the_marker_alone_finds_the_comment(
    world: World, client: GitHubClient
) -> None:
    issue = world.github.open_issue("octo/widgets", "T", "B", "octocat")
    world.server.faults.fail(404, times=OFTEN, path="/user")

    first = client.upsert_comment(issue, marker="<!-- m -->", body="one <!-- m -->")
    second = client.upsert_comment(issue, marker="<!-- m -->", body="two <!-- m -->")

    assert first.id == second.id
    assert [comment.body for comment in world.github.comments(issue)] == ["two <!-- m -->"]
