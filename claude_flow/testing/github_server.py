"""The stand-in GitHub's HTTP side: token, limits, scripted faults, ETags, log and check."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from claude_flow.testing.apps_api import AppsApi
from claude_flow.testing.exchange import Answer, ApiError, Call, Checker, Exchange, LoggedRequest
from claude_flow.testing.faults import Fault, Faults
from claude_flow.testing.github_api import IssuesApi, Operation
from claude_flow.testing.github_json import Renderer
from claude_flow.testing.github_memory import GitHubMemory
from claude_flow.testing.pulls_api import PullsApi
from claude_flow.testing.serving import LoopbackServer

_REPOSITORY = "/repos/{owner}/{repo}"
_BY_ID = "/repositories/{repository_id}"
_APP_TOKENS = "/app/installations/{installation_id}/access_tokens"
_AS_APP = frozenset({"/app", _APP_TOKENS})
_WINDOW = timedelta(hours=1)


@dataclass(slots=True)
class RateLimits:
    """The hour's primary limit; a test may lower ``limit`` or raise ``used``."""

    limit: int = 5000
    used: int = 0


@dataclass(frozen=True, slots=True)
class _Served:
    """One request in work."""

    request: Request
    template: str | None
    body: bytes
    bearer: str
    login: str | None


class GitHubServer:
    """Answers HTTP for a ``GitHubMemory``.

    ``requests`` is the log, ``limits`` and ``faults`` are there to be scripted.
    """

    def __init__(
        self, state: GitHubMemory, server: LoopbackServer, web: str, checker: Checker | None
    ) -> None:
        self.state = state
        self.faults = Faults()
        self.limits = RateLimits()
        self.requests: list[LoggedRequest] = []
        self._server = server
        self._checker = checker
        self._window_ends = state.now() + _WINDOW
        renderer = Renderer(server.url, web)
        self._issues = IssuesApi(state, renderer)
        self._pulls = PullsApi(state, renderer)
        self._apps = AppsApi(state, renderer)
        self._app = Starlette(routes=[*self._routes(), self._route("/{rest:path}", {}, None)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI asks."""
        # A quoted slash in a label's name is no slash of the path: match before unquoting.
        raw = dict(scope, path=scope["raw_path"].decode("ascii"))
        await self._app(raw, receive, send)

    def _routes(self) -> list[Route]:
        issues, pulls = self._issues, self._pulls
        issue, comments = "/issues/{issue_number}", "/issues/comments/{comment_id}"
        in_repository: dict[str, dict[str, Operation]] = {
            "": {"GET": issues.get_repository},
            "/issues": {"GET": issues.list_issues},
            "/issues/events": {"GET": issues.list_repository_events},
            comments: {"GET": issues.get_comment, "PATCH": issues.update_comment},
            issue: {"GET": issues.get_issue, "PATCH": issues.update_issue},
            f"{issue}/labels": {"GET": issues.list_labels, "POST": issues.add_labels},
            f"{issue}/labels/{{name}}": {"DELETE": issues.remove_label},
            f"{issue}/events": {"GET": issues.list_events},
            f"{issue}/timeline": {"GET": issues.timeline},
            f"{issue}/comments": {"GET": issues.list_comments, "POST": issues.create_comment},
            "/labels": {"GET": issues.list_repository_labels, "POST": issues.create_label},
            "/labels/{name}": {"GET": issues.get_label},
            "/collaborators/{username}/permission": {"GET": issues.permission},
            "/pulls": {"GET": pulls.list_pulls, "POST": pulls.create_pull},
            "/pulls/{pull_number}": {"GET": pulls.get_pull, "PATCH": pulls.update_pull},
        }
        routes = [
            self._route("/user", {"GET": issues.user}, "/user"),
            self._route("/rate_limit", {"GET": self._rate_limit}, "/rate_limit"),
            self._route("/graphql", {"POST": issues.edits}, "/graphql"),
            self._route("/app", {"GET": self._apps.get_app}, "/app"),
            self._route(_APP_TOKENS, {"POST": self._apps.create_token}, _APP_TOKENS),
        ]
        return routes + [
            self._route(prefix + path, operations, _REPOSITORY + path)
            for path, operations in in_repository.items()
            for prefix in (_REPOSITORY, _BY_ID)
        ]

    def _route(self, path: str, operations: Mapping[str, Operation], template: str | None) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                body = await request.body()
            except ClientDisconnect:
                return Response(status_code=400)
            bearer = _bearer(request)
            login = None if template in _AS_APP else self.state.account_of(bearer)
            served = _Served(request, template, body, bearer, login)
            fault = self.faults.take(request.method, request.scope["path"])
            return await self._serve(served, operations.get(request.method), fault)

        methods = ["GET", "POST", "PATCH", "PUT", "DELETE"]
        return Route(path, endpoint, methods=methods)

    async def _serve(
        self, served: _Served, operation: Operation | None, fault: Fault | None
    ) -> Response:
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        if fault is None or fault.kind in {"delay", "drip"} or fault.after:
            response = await run_in_threadpool(self._answer, served, operation)
        else:
            response = Response()
        if fault is not None and fault.kind == "answer":
            response = Response(
                fault.body,
                fault.status,
                headers={**fault.headers, **self._limit_headers()},
                media_type="application/json",
            )
        scripted = fault is not None and fault.kind in {"answer", "drop"}
        self._remember(served, response, scripted=scripted)
        if fault is not None and fault.kind == "drop":
            return await self._drop(served.request)
        if fault is not None and fault.kind == "drip":
            return _dripping(response, fault.seconds)
        return response

    def _answer(self, served: _Served, operation: Operation | None) -> Response:
        with self.state.lock:
            self._open_window()
            is_free = served.template == "/rate_limit" or served.login is None
            try:
                answer = self._operate(served, operation, is_free=is_free)
            except ApiError as error:
                answer = error.answer
            return self._respond(served, answer, is_free=is_free)

    def _operate(self, served: _Served, operation: Operation | None, *, is_free: bool) -> Answer:
        if served.template in _AS_APP and operation is not None:
            return operation(self._call(served, str(self._apps.app_of(served.bearer).id)))
        if served.login is None:
            sent = "authorization" in served.request.headers
            raise ApiError(401, "Bad credentials" if sent else "Requires authentication")
        if self.limits.used >= self.limits.limit and not is_free:
            raise ApiError(403, "API rate limit exceeded for user ID 1.")
        if operation is None:
            raise ApiError(404, "Not Found")
        return operation(self._call(served, served.login))

    def _respond(self, served: _Served, answer: Answer, *, is_free: bool) -> Response:
        content = b"" if answer.value is None else json.dumps(answer.value).encode()
        headers = dict(answer.headers)
        if served.request.method == "GET" and answer.status == HTTPStatus.OK:
            token = served.request.headers.get("authorization", "")
            tag = f'W/"{hashlib.sha256(token.encode() + content).hexdigest()}"'
            headers |= {"ETag": tag, "Cache-Control": "private, max-age=60, s-maxage=60"}
            if served.request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers=headers | self._limit_headers())
        if not is_free:
            self.limits.used = min(self.limits.used + 1, self.limits.limit)
        return Response(
            content,
            answer.status,
            headers=headers | self._limit_headers(),
            media_type="application/json; charset=utf-8",
        )

    def _call(self, served: _Served, login: str) -> Call:
        request = served.request
        params = {key: unquote(value) for key, value in request.path_params.items()}
        if "repository_id" in params:
            record = next(
                (
                    one
                    for one in self.state.repositories.values()
                    if str(one.id) == params["repository_id"]
                ),
                None,
            )
            if record is None:
                raise ApiError(404, "Not Found")
            params |= {"owner": record.owner, "repo": record.name}
        query = dict(request.query_params)
        path = request.scope["path"]
        return Call(request.method, path, params, query, served.body, login)

    def _open_window(self) -> None:
        now = self.state.now()
        if now >= self._window_ends:
            self._window_ends = now + _WINDOW
            self.limits.used = 0

    def _rate_limit(self, _: Call) -> Answer:
        core = {
            "limit": self.limits.limit,
            "used": self.limits.used,
            "remaining": self.limits.limit - self.limits.used,
            "reset": int(self._window_ends.timestamp()),
        }
        search = {"limit": 30, "used": 0, "remaining": 30, "reset": core["reset"]}
        return Answer({"resources": {"core": core, "search": search}, "rate": core})

    def _limit_headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limits.limit),
            "X-RateLimit-Remaining": str(self.limits.limit - self.limits.used),
            "X-RateLimit-Used": str(self.limits.used),
            "X-RateLimit-Reset": str(int(self._window_ends.timestamp())),
            "X-RateLimit-Resource": "core",
            "X-GitHub-Media-Type": "github.v3; format=json",
        }

    def _remember(self, served: _Served, response: Response, *, scripted: bool) -> None:
        request = served.request
        path, query = request.scope["path"], request.url.query
        line = LoggedRequest(request.method, path, query, response.status_code, served.login)
        self.requests.append(line)
        if self._checker is not None:
            exchange = Exchange(
                method=request.method,
                path=path,
                template=served.template,
                query=query,
                request_headers=dict(request.headers),
                request_body=served.body,
                status=response.status_code,
                response_headers=dict(response.headers),
                response_body=bytes(response.body),
                scripted=scripted,
            )
            self._checker(exchange)

    async def _drop(self, request: Request) -> Response:
        if request.client is not None:
            self._server.cut(request.client.port)
        await asyncio.sleep(0)
        return Response()


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in {"token", "bearer"} else ""


def _dripping(response: Response, seconds: float) -> Response:
    async def bytewise(content: bytes) -> AsyncIterator[bytes]:
        for index in range(len(content)):
            yield content[index : index + 1]
            await asyncio.sleep(seconds)

    headers = dict(response.headers)
    return StreamingResponse(bytewise(bytes(response.body)), response.status_code, headers)
