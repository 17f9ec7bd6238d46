"""One exchange with GitHub: a bounded request, a classified answer.

github3's session carries the connection; this module adds what it lacks: a deadline for the
whole answer, a pinned host (the token never follows a redirect elsewhere), no ``~/.netrc``,
and errors told apart by status, headers and text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from github3.session import GitHubSession

from claude_flow.errors import (
    ForbiddenError,
    GitHubError,
    GitHubUnreachableError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    TokenRefusedError,
)
from claude_flow.ports import RateLimit
from claude_flow.version import __version__

API_VERSION = "2022-11-28"  # 2026-03-10 drops fields that github3 and older servers rely on
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 10.0
_WHOLE_ANSWER_SECONDS = 30.0
_BLOCK_BYTES = 64 * 1024
_LARGEST_ANSWER_BYTES = 32 * 1024 * 1024
_MOST_REDIRECTS = 3
_DEFAULT_PAUSE_SECONDS = 60.0  # what GitHub asks for when a secondary limit names no time
_WORDS_SHOWN = 300

_REDIRECTS = frozenset({301, 302, 307, 308})
_OK = range(200, 300)
_NOT_MODIFIED = 304
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500

_NOT_FOUND_HINT = "check the name, and that the token may see the repository"
_KINDS: Mapping[int, tuple[type[GitHubError], str | None]] = {
    401: (TokenRefusedError, "the token is wrong, expired or revoked: set a new github.token"),
    403: (
        ForbiddenError,
        "give the token or App read and write access to contents, issues and pull requests",
    ),
    404: (NotFoundError, _NOT_FOUND_HINT),
    409: (RejectedError, None),
    410: (NotFoundError, _NOT_FOUND_HINT),
    422: (RejectedError, None),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx or 304 answer. ``data`` is the decoded JSON, None for an empty body."""

    status: int
    headers: Mapping[str, str]
    data: Any

    @property
    def is_unchanged(self) -> bool:
        """Whether GitHub said 304: what the ETag stands for is still true."""
        return self.status == _NOT_MODIFIED

    @property
    def next_page(self) -> str | None:
        """The address of the next page of a list, None on the last."""
        links = requests.utils.parse_header_links(self.headers.get("Link", ""))
        return next((link["url"] for link in links if link.get("rel") == "next"), None)


class ApiSession:
    """Sends requests to one GitHub, from any thread.

    Args:
        api_url: ``https://api.github.com`` or an Enterprise server's ``/api/v3``.
        token: Gives the present token; asked for every request, stored nowhere else.
        clock: The wall clock, to read "resets at" headers by.
        monotonic: Seconds that never jump, for the answer's deadline.
        renew: Told of a token that GitHub refused; true if ``token`` gives another one now,
            with which the request is then sent once more.
    """

    def __init__(
        self,
        api_url: str,
        token: Callable[[], str],
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        renew: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._token = token
        self._renew = renew
        self._clock = clock
        self._monotonic = monotonic
        self._idle: list[requests.Session] = []
        self._rate_limit: RateLimit | None = None

    @property
    def rate_limit(self) -> RateLimit | None:
        """The hour's limit as the latest answer told it."""
        return self._rate_limit

    @property
    def graphql_url(self) -> str:
        """Where GraphQL is: beside ``/api/v3`` on an Enterprise server, below on github.com."""
        if self._api_url.endswith("/api/v3"):
            return self._api_url.removesuffix("/v3") + "/graphql"
        return self._api_url + "/graphql"

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        etag: str | None = None,
    ) -> Answer:
        """Send one request; ``path`` begins with ``/`` or is a whole address of this GitHub.

        Raises:
            GitHubError: One of its kinds, by what went wrong.
        """
        url = path if path.startswith("http") else self._api_url + path
        headers = {"If-None-Match": etag} if etag else {}
        for _ in range(_MOST_REDIRECTS + 1):
            response, content = self._exchange(method, url, params, body, headers)
            if response.status_code not in _REDIRECTS:
                return self._classify(method, url, response, content)
            url, params = response.headers.get("Location", ""), None
        raise GitHubError(f"{method} {path}: more than {_MOST_REDIRECTS} redirects")

    def _exchange(
        self,
        method: str,
        url: str,
        params: Mapping[str, str | int] | None,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> tuple[requests.Response, bytes]:
        self._refuse_other_hosts(method, url)
        token = self._token()
        response, content = self._send(method, url, params, body, headers, token)
        if response.status_code == _UNAUTHORIZED and self._renew(token):
            return self._send(method, url, params, body, headers, self._token())
        return response, content

    def _send(
        self,
        method: str,
        url: str,
        params: Mapping[str, str | int] | None,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        token: str,
    ) -> tuple[requests.Response, bytes]:
        deadline = self._monotonic() + _WHOLE_ANSWER_SECONDS
        try:
            with (
                self._lent_session() as session,
                session.request(
                    method,
                    url,
                    params=params,
                    json=body,
                    headers={**headers, "Authorization": f"Bearer {token}"},
                    timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                return response, self._read(method, url, response, deadline)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise GitHubUnreachableError(
                f"{method} {_without_query(url)}: {_cause(error)}",
                hint="check the network and github.api_url; it is tried again",
            ) from None  # the chain would print the request, headers included

    @contextmanager
    def _lent_session(self) -> Iterator[requests.Session]:
        # No session serves two threads at once, and there are no more than requests under way.
        try:
            session = self._idle.pop()
        except IndexError:
            session = self._new_session()
        try:
            yield session
        finally:
            self._idle.append(session)

    def _new_session(self) -> requests.Session:
        session: requests.Session = GitHubSession(_CONNECT_SECONDS, _READ_SECONDS)
        session.trust_env = False  # ~/.netrc would replace the token
        session.proxies = requests.utils.get_environ_proxies(self._api_url)
        session.verify = _certificate_bundle()
        session.headers.update(
            {
                "Accept": "application/vnd.github+json",
                "User-Agent": f"claude_flow/{__version__}",
                "X-GitHub-Api-Version": API_VERSION,
            }
        )
        return session

    def _read(self, method: str, url: str, response: requests.Response, deadline: float) -> bytes:
        content = bytearray()
        # Whatever has arrived, at once: a read of a whole block would wait for an answer that
        # trickles, far beyond the deadline.
        while chunk := response.raw.read1(_BLOCK_BYTES, decode_content=True):
            content += chunk
            if len(content) > _LARGEST_ANSWER_BYTES or self._monotonic() > deadline:
                raise GitHubUnreachableError(
                    f"{method} {_without_query(url)}: the answer was cut off after "
                    f"{len(content)} bytes",
                    hint=f"answers are read for {_WHOLE_ANSWER_SECONDS:.0f} s at most",
                )
        return bytes(content)

    def _refuse_other_hosts(self, method: str, url: str) -> None:
        if urlsplit(url)[:2] != urlsplit(self._api_url)[:2]:
            raise GitHubError(
                f"{method}: GitHub pointed to {_without_query(url)!r}, which is not "
                f"{self._api_url}",
                hint="the token goes nowhere else; check github.api_url",
            )

    def _classify(
        self, method: str, url: str, response: requests.Response, content: bytes
    ) -> Answer:
        self._note_rate_limit(response.headers)
        status = response.status_code
        if status in _OK or status == _NOT_MODIFIED:
            return Answer(status, response.headers, _decode(method, url, content))
        raise self._error(f"{method} {_without_query(url)}", status, response.headers, content)

    def _note_rate_limit(self, headers: Mapping[str, str]) -> None:
        # Search and GraphQL count apart; the hour's requests are "core".
        if headers.get("X-RateLimit-Resource", "core") != "core":
            return
        try:
            self._rate_limit = RateLimit(
                limit=int(headers["X-RateLimit-Limit"]),
                remaining=int(headers["X-RateLimit-Remaining"]),
                resets_at=datetime.fromtimestamp(int(headers["X-RateLimit-Reset"]), UTC),
            )
        except (KeyError, ValueError):
            return  # an Enterprise server may have limits turned off

    def _error(
        self, request: str, status: int, headers: Mapping[str, str], content: bytes
    ) -> GitHubError:
        words = _words(content)
        said = f"{request}: GitHub answered {status}" + (f", {words!r}" if words else "")
        if status in {_FORBIDDEN, _TOO_MANY_REQUESTS}:
            pause = self._pause_asked_for(status, headers, words)
            if pause is not None:
                return RateLimitedError(said, retry_after_seconds=pause)
        kind, hint = _KINDS.get(status, (GitHubError, None))
        if status >= _SERVER_ERROR:
            kind, hint = GitHubUnreachableError, "GitHub has trouble; it is tried again"
        return kind(said, hint=hint)

    def _pause_asked_for(self, status: int, headers: Mapping[str, str], words: str) -> float | None:
        after = headers.get("Retry-After", "")
        if after.isdecimal():
            return float(after)
        if headers.get("X-RateLimit-Remaining") == "0":
            reset = headers.get("X-RateLimit-Reset", "")
            if reset.isdecimal():
                return max(1.0, int(reset) - self._clock().timestamp())
        if status == _TOO_MANY_REQUESTS or "rate limit" in words.lower():
            return _DEFAULT_PAUSE_SECONDS
        return None


def _decode(method: str, url: str, content: bytes) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError:
        raise GitHubUnreachableError(
            f"{method} {_without_query(url)}: the answer is not JSON",
            hint="is github.api_url an API address, and no proxy in the way?",
        ) from None


def _words(content: bytes) -> str:
    """GitHub's own sentence about an error, its details included, in one line."""
    try:
        data = json.loads(content)
    except ValueError:
        return ""
    if not isinstance(data, dict):
        return ""
    words = [str(data.get("message", ""))]
    errors = data.get("errors")
    words.extend(
        str(error.get("message") or error) if isinstance(error, dict) else str(error)
        for error in (errors if isinstance(errors, list) else [])
    )
    return " ".join(" ".join(words).split())[:_WORDS_SHOWN]


def _cause(error: requests.RequestException | urllib3.exceptions.HTTPError) -> str:
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate is not trusted"
    if isinstance(error, requests.ConnectionError):
        return "cannot connect"
    if isinstance(error, urllib3.exceptions.HTTPError):
        return "the answer broke off"
    return type(error).__name__


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _certificate_bundle() -> str | bool:
    # trust_env off also turns off the bundle an operator named for a company's own CA.
    settings = requests.Session().merge_environment_settings("https://", {}, None, None, None)
    return settings["verify"] or True
