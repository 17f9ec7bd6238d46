"""The stand-in's manners on the wire: tags, pages, limits, refusals, scripted faults."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from claude_flow.testing.checked_world import checked_world
from claude_flow.testing.clock import FakeClock
from claude_flow.testing.github_api import EDITS_QUERY
from claude_flow.testing.world import World


class Client:
    """GitHub's API as an authorised program sees it."""

    def __init__(self, world: World) -> None:
        self.url = world.api_url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {world.token}"

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.session.get(
            f"{self.url}{path}", headers=headers, timeout=10, allow_redirects=False
        )

    def send(self, method: str, path: str, body: object = None) -> requests.Response:
        return self.session.request(
            method, f"{self.url}{path}", json=body, timeout=10, allow_redirects=False
        )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world(tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    with checked_world(tmp_path, clock=clock) as world:
        world.github.add_repository("octo/widgets", permissions={"alice": "write"})
        yield world


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    client = Client(world)
    yield client
    client.session.close()


ISSUES = "/repos/octo/widgets/issues"


def test_an_unchanged_list_costs_nothing(world: World, client: Client) -> None:
    world.github.open_issue("octo/widgets", "T")
    first = client.get(ISSUES)
    again = client.get(ISSUES, **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    remaining = "X-RateLimit-Remaining"
    assert again.headers[remaining] == first.headers[remaining]
    world.github.open_issue("octo/widgets", "U")
    changed = client.get(ISSUES, **{"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, len(changed.json())) == (200, 2)
    assert int(changed.headers[remaining]) == int(first.headers[remaining]) - 1


def test_a_tag_is_bound_to_the_token(world: World, client: Client) -> None:
    tag = client.get(ISSUES).headers["ETag"]
    client.session.headers["Authorization"] = f"token {world.github.add_token()}"
    assert client.get(ISSUES, **{"If-None-Match": tag}).status_code == 200


def test_pages_are_linked(world: World, client: Client) -> None:
    for number in range(5):
        world.github.open_issue("octo/widgets", f"Issue {number}")
    page = client.get(f"{ISSUES}?per_page=2&direction=asc")
    numbers = [issue["number"] for issue in page.json()]
    assert set(page.links) == {"next", "last"}
    while "next" in page.links:
        page = client.session.get(page.links["next"]["url"], timeout=10)
        numbers += [issue["number"] for issue in page.json()]
    assert set(page.links) == {"prev", "first"}
    assert numbers == [1, 2, 3, 4, 5]


def test_since_and_state_choose(world: World, client: Client, clock: FakeClock) -> None:
    refs = [world.github.open_issue("octo/widgets", "T") for _ in range(3)]
    clock.advance(3600)
    world.github.close_issue(refs[0])
    world.github.comment(refs[1], "Hello")
    since = clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    found = client.get(f"{ISSUES}?state=all&since={since}&sort=updated").json()
    assert {issue["number"] for issue in found} == {1, 2}
    assert [one["number"] for one in client.get(f"{ISSUES}?state=closed").json()] == [1]


def test_a_wrong_token_is_refused_and_free(world: World, client: Client) -> None:
    client.session.headers["Authorization"] = "token ghp_wrong"
    answer = client.get("/user")
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")
    assert world.server.limits.used == 0


def test_what_is_not_there_is_told_in_github_s_form(client: Client) -> None:
    for path in ["/repos/octo/nothing", f"{ISSUES}/77", "/repos/octo/widgets/labels/none"]:
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.json()["message"] == "Not Found"
        assert answer.json()["status"] == "404"


def test_a_renamed_repository_redirects(world: World, client: Client) -> None:
    world.github.open_issue("octo/widgets", "T")
    world.github.rename_repository("octo/widgets", "gadgets")
    read = client.get(f"{ISSUES}?state=all")
    write = client.send("POST", f"{ISSUES}/1/labels", {"labels": ["a"]})
    assert (read.status_code, write.status_code) == (301, 307)
    assert len(client.session.get(read.headers["Location"], timeout=10).json()) == 1
    followed = client.session.post(write.headers["Location"], json={"labels": ["a"]}, timeout=10)
    assert followed.status_code == 200
    assert world.github.labels("octo/gadgets#1") == {"a"}


def test_the_primary_limit_ends_with_its_window(
    world: World, client: Client, clock: FakeClock
) -> None:
    world.server.limits.limit = 2
    assert [client.get("/user").status_code for _ in range(3)] == [200, 200, 403]
    refused = client.get("/user")
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert "rate limit" in refused.json()["message"]
    assert client.get("/rate_limit").json()["resources"]["core"]["remaining"] == 0
    clock.advance(int(refused.headers["X-RateLimit-Reset"]) - clock().timestamp())
    assert client.get("/user").status_code == 200


def test_the_secondary_limit_says_when_to_come_back(world: World, client: Client) -> None:
    world.server.faults.secondary_limit(7, times=2)
    refused = [client.get("/user") for _ in range(3)]
    assert [answer.status_code for answer in refused] == [403, 403, 200]
    assert refused[0].headers["Retry-After"] == "7"
    assert "secondary rate limit" in refused[0].json()["message"]


def test_faults_come_to_those_who_are_meant(world: World, client: Client) -> None:
    world.server.faults.fail(502, times=2, method="POST", path="/labels")
    path = f"{ISSUES}/1/labels"
    world.github.open_issue("octo/widgets", "T")
    statuses = [client.send("POST", path, {"labels": ["a"]}).status_code for _ in range(3)]
    assert statuses == [502, 502, 200]


def test_a_dropped_request_is_not_done_unless_told(world: World, client: Client) -> None:
    ref = world.github.open_issue("octo/widgets", "T")
    path = f"{ISSUES}/1/comments"
    for after in (False, True):
        world.server.faults.drop(after=after)
        with pytest.raises(requests.ConnectionError):
            client.send("POST", path, {"body": f"after is {after}"})
    assert [comment.body for comment in world.github.comments(ref)] == ["after is True"]


def test_an_answer_may_be_late_or_drip(world: World, client: Client) -> None:
    world.server.faults.delay(0.2)
    began = time.monotonic()
    assert client.get("/user").status_code == 200
    assert time.monotonic() - began >= 0.2
    world.server.faults.drip(0.001)
    began = time.monotonic()
    dripped = client.get("/user")
    assert dripped.json()["login"] == "claude-flow-bot"
    assert time.monotonic() - began >= 0.001 * len(dripped.content)


def test_the_log_holds_requests_but_no_token(world: World, client: Client) -> None:
    client.get("/user")
    client.get(f"{ISSUES}?state=all")
    assert [
        (line.method, line.path, line.query, line.status) for line in world.server.requests
    ] == [
        ("GET", "/user", "", 200),
        ("GET", ISSUES, "state=all", 200),
    ]
    assert world.token not in repr(world.server.requests)


def test_events_comments_and_timeline_tell_the_same_story(world: World, client: Client) -> None:
    ref = world.github.open_issue("octo/widgets", "T")
    world.github.label_issue(ref, "a", "alice")
    world.github.comment(ref, "Hello", "alice")
    world.github.edit_issue(ref, title="New", editor="alice")
    world.github.close_issue(ref, "alice")
    kinds = [event["event"] for event in client.get(f"{ISSUES}/1/timeline").json()]
    assert kinds == ["labeled", "commented", "renamed", "closed"]
    events = client.get(f"{ISSUES}/1/events").json()
    assert [event["event"] for event in events] == ["labeled", "renamed", "closed"]
    assert events[1]["rename"] == {"from": "T", "to": "New"}
    assert [one["id"] for one in client.get(f"{ISSUES}/events").json()] == [
        event["id"] for event in reversed(events)
    ]


def test_other_people_s_comments_need_the_right(world: World, client: Client) -> None:
    ref = world.github.open_issue("octo/widgets", "T")
    comment = world.github.comment(ref, "Hello", "alice")
    path = f"{ISSUES}/comments/{comment}"
    assert client.send("PATCH", path, {"body": "Changed"}).status_code == 200
    world.github.set_permission("octo/widgets", "claude-flow-bot", "read")
    assert client.send("PATCH", path, {"body": "Again"}).status_code == 403
    assert client.get(path).json()["body"] == "Changed"


@pytest.mark.parametrize("body", ["", " ", "x" * 65537])
def test_a_comment_must_be_of_a_size(world: World, client: Client, body: str) -> None:
    world.github.open_issue("octo/widgets", "T")
    assert client.send("POST", f"{ISSUES}/1/comments", {"body": body}).status_code == 422


def test_labels_of_the_repository(client: Client) -> None:
    label = {"name": "c#/d", "color": "ff0000", "description": "D"}
    assert client.send("POST", "/repos/octo/widgets/labels", label).status_code == 201
    assert client.send("POST", "/repos/octo/widgets/labels", label).status_code == 422
    assert client.get("/repos/octo/widgets/labels/c%23%2Fd").json()["color"] == "ff0000"
    assert [one["name"] for one in client.get("/repos/octo/widgets/labels").json()] == ["c#/d"]


def test_edits_of_a_text_come_newest_first(world: World, client: Client, clock: FakeClock) -> None:
    ref = world.github.open_issue("octo/widgets", "T", "one", "alice")
    for text, editor in [("two", "mallory"), ("three", "alice")]:
        clock.advance(1)
        world.github.edit_issue(ref, body=text, editor=editor)
    variables = {"owner": "octo", "name": "widgets", "number": 1}
    answer = client.send("POST", "/graphql", {"query": EDITS_QUERY, "variables": variables})
    issue = answer.json()["data"]["repository"]["issue"]
    editors = [node["editor"]["login"] for node in issue["userContentEdits"]["nodes"]]
    assert editors == ["alice", "mallory", "alice"]
    missing = variables | {"number": 9}
    answer = client.send("POST", "/graphql", {"query": EDITS_QUERY, "variables": missing})
    assert answer.json()["errors"][0]["type"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{ISSUES}?assignee=alice", None),
        ("GET", "/repos/octo/widgets/pulls?sort=updated", None),
        ("PATCH", f"{ISSUES}/1", {"assignees": ["alice"]}),
    ],
)
def test_what_it_does_not_serve_it_says(
    world: World, client: Client, method: str, path: str, body: object
) -> None:
    world.github.open_issue("octo/widgets", "T")
    assert client.send(method, path, body).status_code == 501


@pytest.mark.parametrize(
    ("field", "length", "status"), [("title", 256, 201), ("title", 257, 422), ("body", 65537, 422)]
)
def test_a_pull_request_s_texts_must_be_of_a_size(
    world: World, client: Client, field: str, length: int, status: int
) -> None:
    world.github.commit("octo/widgets", "work", {"a.py": "x = 1\n"})
    request = {"title": "T", "head": "work", "base": "main", field: "x" * length}
    assert client.send("POST", "/repos/octo/widgets/pulls", request).status_code == status
