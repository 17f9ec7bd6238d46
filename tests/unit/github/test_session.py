"""One exchange with GitHub, however it goes wrong."""

from __future__ import annotations

import http.server
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from claude_flow.errors import (
    ForbiddenError,
    GitHubError,
    GitHubUnreachableError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    TokenRefusedError,
)
from claude_flow.github import ApiSession
from claude_flow.testing.clock import FakeClock
from claude_flow.testing.faults import Fault
from claude_flow.testing.world import World

PATH = "/repos/octo/widgets"


class Elsewhere:
    """Another host, which writes down who comes with what."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.clients: set[object] = set()
        seen, clients = self.seen, self.clients

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                seen.append(str(self.headers))
                clients.add(self.client_address)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                """Silence."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.block_on_close = False  # a kept connection would hold it
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    other = Elsewhere()
    yield other
    other.server.shutdown()
    other.thread.join()
    other.server.server_close()


def answer(world: World, status: int, body: str = "{}", **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    world.server.faults.add(Fault("answer", status=status, body=body, headers=named))


def test_an_answer_is_decoded(session: ApiSession) -> None:
    got = session.request("GET", PATH)
    assert (got.status, got.data["full_name"]) == (200, "octo/widgets")
    assert got.next_page is None


def test_an_unchanged_answer_is_told_by_its_etag(session: ApiSession) -> None:
    first = session.request("GET", PATH)
    again = session.request("GET", PATH, etag=first.headers["ETag"])
    assert again.is_unchanged
    assert again.data is None


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (400, GitHubError, ""),
        (401, TokenRefusedError, "set a new github.token"),
        (403, ForbiddenError, "read and write access"),
        (404, NotFoundError, "check the name"),
        (409, RejectedError, ""),
        (410, NotFoundError, "check the name"),
        (422, RejectedError, ""),
        (429, RateLimitedError, ""),
        (451, GitHubError, ""),
        (500, GitHubUnreachableError, "tried again"),
        (502, GitHubUnreachableError, "tried again"),
        (503, GitHubUnreachableError, "tried again"),
    ],
)
def test_a_refusal_is_told_by_kind_with_githubs_own_words(
    world: World, session: ApiSession, status: int, kind: type[GitHubError], hint: str
) -> None:
    errors = [{"message": "the head is wrong"}, "or so", {"field": "base", "code": "invalid"}]
    answer(world, status, json.dumps({"message": "Not like\nthis", "errors": errors}))
    with pytest.raises(GitHubError) as raised:
        session.request("GET", PATH, etag="x")
    assert type(raised.value) is kind
    text = str(raised.value)
    assert f"GET {world.api_url}{PATH}: GitHub answered {status}" in text
    assert "Not like this the head is wrong or so" in text
    assert hint in text
    assert world.token not in text


@pytest.mark.parametrize("body", ["", "<html>oh no</html>", "[]", '"x"', '{"errors": 3}', "\x00"])
def test_a_refusal_in_any_form_is_told(world: World, session: ApiSession, body: str) -> None:
    answer(world, 403, body)
    with pytest.raises(ForbiddenError, match="GitHub answered 403"):
        session.request("GET", PATH)


def test_an_answer_that_is_not_json_is_no_answer(world: World, session: ApiSession) -> None:
    answer(world, 200, "<html>Sign in to the hotel's network</html>")
    with pytest.raises(GitHubUnreachableError, match=r"is not JSON.*no proxy in the way"):
        session.request("GET", PATH)


def test_a_secondary_limit_says_how_long(world: World, session: ApiSession) -> None:
    world.server.faults.secondary_limit(17)
    with pytest.raises(RateLimitedError) as raised:
        session.request("GET", PATH)
    assert raised.value.retry_after_seconds == 17


def test_the_hours_limit_says_when_it_opens_again(
    world: World, session: ApiSession, clock: FakeClock
) -> None:
    world.server.limits.used = world.server.limits.limit
    clock.advance(600)
    with pytest.raises(RateLimitedError) as raised:
        session.request("GET", PATH)
    assert raised.value.retry_after_seconds == 3000
    assert session.rate_limit is not None
    assert session.rate_limit.remaining == 0
    clock.advance(3000)
    assert session.request("GET", PATH).status == 200


def test_a_limit_that_names_no_time_is_a_minute(world: World, session: ApiSession) -> None:
    answer(world, 429, '{"message": "slow down"}')
    with pytest.raises(RateLimitedError) as raised:
        session.request("GET", PATH)
    assert raised.value.retry_after_seconds == 60


def test_a_cut_connection_is_unreachable_and_the_next_try_works(
    world: World, session: ApiSession
) -> None:
    world.server.faults.drop()
    with pytest.raises(GitHubUnreachableError, match="tried again"):
        session.request("GET", PATH)
    assert session.request("GET", PATH).status == 200


def test_nobody_there_is_unreachable(clock: FakeClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    session = ApiSession(url, lambda: "x", clock=clock, monotonic=time.monotonic)
    with pytest.raises(GitHubUnreachableError, match=r"cannot connect.*github\.api_url"):
        session.request("GET", PATH)


def test_an_answer_that_trickles_is_cut_off(world: World, clock: FakeClock) -> None:
    """Each byte comes in time, the whole never would."""
    seconds = itertools.count()
    session = ApiSession(
        world.api_url, lambda: world.token, clock=clock, monotonic=lambda: float(next(seconds))
    )
    world.server.faults.drip(0.005)
    with pytest.raises(GitHubUnreachableError, match="cut off"):
        session.request("GET", PATH)


def test_an_answer_that_breaks_off_is_unreachable(clock: FakeClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def half() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")

        thread = threading.Thread(target=half)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        session = ApiSession(url, lambda: "x", clock=clock, monotonic=time.monotonic)
        with pytest.raises(GitHubUnreachableError, match="the answer broke off"):
            session.request("GET", PATH)
        thread.join()


def test_a_connection_is_kept_for_the_next_request(elsewhere: Elsewhere, clock: FakeClock) -> None:
    """Also for another thread's: no more connections than requests under way."""
    session = ApiSession(elsewhere.url, lambda: "x", clock=clock, monotonic=time.monotonic)
    for _ in range(3):
        thread = threading.Thread(target=session.request, args=("GET", PATH))
        thread.start()
        thread.join()
    assert len(elsewhere.seen) == 3
    assert len(elsewhere.clients) == 1


def test_the_token_follows_no_redirect_to_another_host(
    world: World, session: ApiSession, elsewhere: Elsewhere
) -> None:
    answer(world, 302, Location=f"{elsewhere.url}/repos/octo/widgets")
    with pytest.raises(GitHubError, match="the token goes nowhere else"):
        session.request("GET", PATH)
    assert elsewhere.seen == []


@pytest.mark.parametrize(
    "location", ["", "/relative", "//evil.example/x", "https://u:p@evil.example/x", "file:///etc"]
)
def test_a_strange_redirect_is_refused(world: World, session: ApiSession, location: str) -> None:
    answer(world, 301, Location=location)
    with pytest.raises(GitHubError) as raised:
        session.request("GET", PATH)
    assert "u:p" not in str(raised.value)


def test_a_redirect_on_this_host_is_followed(world: World, session: ApiSession) -> None:
    answer(world, 307, Location=f"{world.api_url}{PATH}")
    assert session.request("GET", PATH).data["full_name"] == "octo/widgets"


def test_a_redirect_in_a_circle_ends(world: World, session: ApiSession) -> None:
    circle = Fault("answer", 9, status=301, headers={"Location": f"{world.api_url}{PATH}"})
    world.server.faults.add(circle)
    with pytest.raises(GitHubError, match="more than 3 redirects"):
        session.request("GET", PATH)


def test_a_next_page_elsewhere_is_refused(session: ApiSession, elsewhere: Elsewhere) -> None:
    with pytest.raises(GitHubError, match="which is not"):
        session.request("GET", f"{elsewhere.url}/page/2")
    assert elsewhere.seen == []


def test_a_netrc_replaces_no_token(
    world: World, session: ApiSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password else\n", encoding="ascii")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    session.request("GET", PATH)
    assert world.server.requests[-1].login == "claude-flow-bot"


def test_a_new_token_is_used_from_the_next_request_on(world: World, clock: FakeClock) -> None:
    tokens = iter(["ghp_wrong", world.token])
    session = ApiSession(world.api_url, lambda: next(tokens), clock=clock, monotonic=time.monotonic)
    with pytest.raises(TokenRefusedError) as raised:
        session.request("GET", PATH)
    assert "ghp_wrong" not in str(raised.value)
    assert session.request("GET", PATH).status == 200


@pytest.mark.parametrize("token", ["line\nbreak", "tab\tted\r"])
def test_a_token_that_no_header_can_hold_is_an_error_without_it(
    world: World, clock: FakeClock, token: str
) -> None:
    session = ApiSession(world.api_url, lambda: token, clock=clock, monotonic=time.monotonic)
    with pytest.raises(GitHubError) as raised:
        session.request("GET", PATH)
    assert token not in str(raised.value)


@pytest.mark.parametrize(
    ("api_url", "graphql_url"),
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://api.github.com/", "https://api.github.com/graphql"),
        ("https://ghe.example/api/v3", "https://ghe.example/api/graphql"),
        ("https://ghe.example/api/v3/", "https://ghe.example/api/graphql"),
    ],
)
def test_graphql_has_its_place(clock: FakeClock, api_url: str, graphql_url: str) -> None:
    session = ApiSession(api_url, lambda: "x", clock=clock, monotonic=time.monotonic)
    assert session.graphql_url == graphql_url


def test_threads_may_share_a_session(session: ApiSession) -> None:
    names: list[str] = []

    def ask() -> None:
        names.append(session.request("GET", PATH).data["full_name"])

    asking: list[Callable[[], None]] = [ask] * 8
    threads = [threading.Thread(target=one) for one in asking]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == ["octo/widgets"] * 8
