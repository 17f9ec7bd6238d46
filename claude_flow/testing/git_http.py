"""Git over smart HTTP: `git http-backend` behind an ASGI application."""

from __future__ import annotations

import base64
import binascii
import html
import subprocess
import tempfile
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from claude_flow.testing.git_store import GitStore
from claude_flow.testing.github_memory import GitHubMemory
from claude_flow.testing.lfs_api import LfsApi
from claude_flow.testing.records import RepositoryRecord, role_at_least

_ASK = {"WWW-Authenticate": 'Basic realm="GitHub"'}


class _RefusedError(Exception):
    """A request that git's backend shall not see."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class GitHttp:
    """Serves the state's repositories at ``/owner/name.git`` and shows pull requests.

    Pushes, and reads of private repositories, need basic authentication with a token as the
    password. ``requests`` lists what came, without credentials.
    """

    def __init__(self, state: GitHubMemory, store: GitStore) -> None:
        self._store = store
        self._state = state
        self.requests: list[tuple[str, str, int]] = []
        self.lfs = LfsApi(self._admit_to_lfs)
        self.app = Starlette(
            routes=[
                Route("/{owner}/{name}/pull/{number:int}", self._show_pull, methods=["GET"]),
                *self.lfs.routes,
                Route("/{owner}/{name}/{service:path}", self._serve, methods=["GET", "POST"]),
            ]
        )

    def path(self, full_name: str) -> Path:
        """Where a repository lies."""
        return self._store.path(full_name)

    async def _serve(self, request: Request) -> Response:
        response = await self._respond(request)
        self.requests.append((request.method, request.url.path, response.status_code))
        return response

    async def _respond(self, request: Request) -> Response:
        service = request.path_params["service"]
        try:
            login = self._login(request)
            record, former = self._admit(request, login)
        except _RefusedError as refused:
            return _refusal(refused)
        if former and request.method == "GET":
            where = f"/{record.full_name}.git/{service}?{request.url.query}"
            return Response(status_code=301, headers={"Location": where})
        return await self._run_backend(request, record, service, login)

    async def _admit_to_lfs(self, request: Request, operation: str) -> Path | Response:
        try:
            login = self._login(request)
            record, _ = self._admit(request, login)
            if operation == "upload":
                self._require_write(record, login)
        except _RefusedError as refused:
            return _refusal(refused)
        return self._store.path(record.full_name)

    def _admit(self, request: Request, login: str | None) -> tuple[RepositoryRecord, bool]:
        """The repository asked for, and whether under a former name."""
        params = request.path_params
        named = f"{params['owner']}/{params['name']}".removesuffix(".git")
        record, former = self._state.find_repository(named)
        if record is None or record.role_of(login or "") == "none":
            raise _RefusedError(401 if login is None else 404, "Repository not found.")
        services = {params.get("service"), request.query_params.get("service")}
        if "git-receive-pack" in services:
            self._require_write(record, login)
        return record, former

    @staticmethod
    def _require_write(record: RepositoryRecord, login: str | None) -> None:
        if login is None:
            raise _RefusedError(401, "Authentication required")
        if record.is_archived or not role_at_least(record.role_of(login), "write"):
            text = f"Permission to {record.full_name}.git denied to {login}."
            raise _RefusedError(403, text)

    def _login(self, request: Request) -> str | None:
        """Who asks; None without credentials."""
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if not encoded:
            return None
        try:
            _, _, token = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            token = ""
        login = self._state.account_of(token)
        if scheme.lower() != "basic" or login is None:
            text = "Invalid username or token. Password authentication is not supported."
            raise _RefusedError(401, text)
        return login

    async def _run_backend(
        self, request: Request, record: RepositoryRecord, service: str, login: str | None
    ) -> Response:
        environment = self._store.environment | {
            "GIT_PROJECT_ROOT": str(self._store.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GATEWAY_INTERFACE": "CGI/1.1",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": f"/{record.full_name}.git/{service}",
            "QUERY_STRING": request.url.query,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        if login is not None:
            environment["REMOTE_USER"] = login
        # The upload goes to a file first: while an answer is streamed, Starlette reads (and
        # drops) what still comes from the client.
        with tempfile.TemporaryFile() as upload:
            try:
                async for chunk in request.stream():
                    upload.write(chunk)
            except ClientDisconnect:
                return PlainTextResponse("The upload was cut short.", 400)
            upload.seek(0)
            output = await run_in_threadpool(_backend, environment, upload)
        return _from_cgi(output)

    async def _show_pull(self, request: Request) -> Response:
        return await run_in_threadpool(self._pull_page, request.path_params)

    def _pull_page(self, params: dict[str, Any]) -> Response:
        with self._state.lock:
            record, _ = self._state.find_repository(f"{params['owner']}/{params['name']}")
            issue = record.issues.get(params["number"]) if record is not None else None
            if record is None or issue is None or issue.pull is None or record.is_private:
                return PlainTextResponse("Not Found", 404)
            branches = self._store.branches(record.full_name)
            known = issue.pull.head in branches and issue.pull.base in branches
            diff = (
                self._store.diff(record.full_name, issue.pull.base, issue.pull.head)
                if known
                else "(the branch is gone)"
            )
            title = html.escape(f"{issue.title} · {record.full_name}#{issue.number}")
            sides = html.escape(f"{issue.pull.head} into {issue.pull.base}")
            text, patch = html.escape(issue.body or ""), html.escape(diff)
        return HTMLResponse(
            f"<!doctype html><meta charset=utf-8><title>{title}</title><h1>{title}</h1>"
            f"<p>{sides}</p><pre>{text}</pre><pre>{patch}</pre>"
        )


def _refusal(refused: _RefusedError) -> Response:
    ask = _ASK if refused.status == HTTPStatus.UNAUTHORIZED else None
    return PlainTextResponse(str(refused), refused.status, headers=ask)


def _backend(environment: Mapping[str, str], upload: IO[bytes]) -> bytes:
    """Run the backend to its end; what it printed.

    Without CONTENT_LENGTH it reads to the end: right for chunked uploads and all others.
    """
    done = subprocess.run(
        ["git", "http-backend"],  # noqa: S607 -- git is found on the PATH, as the service does
        env=environment,
        stdin=upload,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return done.stdout


def _from_cgi(output: bytes) -> Response:
    head, _, body = output.partition(b"\r\n\r\n")
    lines = [line.partition(": ") for line in head.decode("latin-1").split("\r\n") if line]
    headers = {key: value for key, _, value in lines}
    status = int(headers.pop("Status", "200").split(" ", 1)[0]) if lines else 500
    return Response(body, status, headers)
