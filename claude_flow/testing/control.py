"""Drives a stand-in world from another process: ``/_world/…`` beside GitHub's paths.

``POST`` with a JSON object: ``open_issue``, ``label``, ``unlabel``, ``edit_issue``,
``comment``, ``close_issue``, ``reopen_issue``, ``fail`` (the next requests). ``GET``:
``state``, ``pull_requests``, ``requests``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from claude_flow.errors import UsageError
from claude_flow.testing.github_server import GitHubServer
from claude_flow.testing.github_state import GitHubState

PREFIX = "/_world/"

Action = Callable[[Mapping[str, Any]], Any]


class Control:
    """The control API; ``web`` is the base address of pages."""

    def __init__(self, state: GitHubState, server: GitHubServer, web: str) -> None:
        self._state = state
        self._server = server
        self._web = web
        self.app = Starlette(
            routes=[
                *(self._post(name, action) for name, action in self._actions().items()),
                *(self._get(name, view) for name, view in self._views().items()),
            ]
        )

    def _actions(self) -> dict[str, Action]:
        state = self._state
        return {
            "open_issue": lambda data: {"issue": str(state.open_issue(**data))},
            "label": lambda data: state.label_issue(
                data["issue"], data["label"], data.get("actor", "octocat")
            ),
            "unlabel": lambda data: state.unlabel_issue(
                data["issue"], data["label"], data.get("actor", "octocat")
            ),
            "edit_issue": lambda data: state.edit_issue(
                data["issue"],
                title=data.get("title"),
                body=data.get("body"),
                editor=data.get("editor", "octocat"),
            ),
            "comment": lambda data: {
                "id": state.comment(data["issue"], data["body"], data.get("author", "octocat"))
            },
            "close_issue": lambda data: state.close_issue(data["issue"]),
            "reopen_issue": lambda data: state.reopen_issue(data["issue"]),
            "fail": lambda data: self._server.faults.fail(**data),
        }

    def _views(self) -> dict[str, Callable[[], Any]]:
        return {
            "state": self._dump,
            "pull_requests": self._pull_requests,
            "requests": lambda: [dataclasses.asdict(line) for line in self._server.requests],
        }

    def _dump(self) -> dict[str, Any]:
        with self._state.lock:
            return {
                "repositories": [
                    {
                        "name": record.full_name,
                        "branches": self._state.git.branches(record.full_name),
                        "issues": [
                            {
                                "issue": f"{record.full_name}#{issue.number}",
                                "title": issue.title,
                                "body": issue.body,
                                "labels": issue.labels,
                                "is_open": issue.is_open,
                                "is_pull_request": issue.pull is not None,
                                "comments": [
                                    {"author": comment.author, "body": comment.body}
                                    for comment in issue.comments
                                ],
                            }
                            for issue in record.issues.values()
                        ],
                    }
                    for record in self._state.repositories.values()
                ],
                "pull_requests": self._pull_requests(),
            }

    def _pull_requests(self) -> list[dict[str, Any]]:
        with self._state.lock:
            return [
                dataclasses.asdict(pull)
                | {
                    "repository": record.full_name,
                    "url": f"{self._web}/{record.full_name}/pull/{pull.number}",
                }
                for record in self._state.repositories.values()
                for pull in self._state.pull_requests(record.full_name)
            ]

    @staticmethod
    def _post(name: str, action: Action) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                answer = await run_in_threadpool(action, json.loads(await request.body()))
            except (KeyError, TypeError, ValueError, UsageError) as error:
                return JSONResponse({"error": f"{name}: {error!r}"}, 400)
            return JSONResponse(answer if answer is not None else {})

        return Route(f"{PREFIX}{name}", endpoint, methods=["POST"])

    @staticmethod
    def _get(name: str, view: Callable[[], Any]) -> Route:
        async def endpoint(_: Request) -> Response:
            return JSONResponse(await run_in_threadpool(view))

        handler: Callable[[Request], Awaitable[Response]] = endpoint
        return Route(f"{PREFIX}{name}", handler, methods=["GET"])
