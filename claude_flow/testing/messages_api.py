"""A scripted Messages API on loopback, for the real agents' command line programs."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from claude_flow.testing.messages_script import Say, Script, Turn, Use, script_for_prompt
from claude_flow.testing.serving import LoopbackServer

Mode = Literal["fail", "hang", "cut"]

_WORKING_DIRECTORY = re.compile(r"working directory:\s*(\S+)", re.IGNORECASE)
_HANG_LOOK_SECONDS = 0.05
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """A line of the request log.

    ``prompt`` is the conversation's first user text, ``last_prompt`` its last.
    """

    path: str
    model: str
    prompt: str
    turn: int
    status: int
    last_prompt: str


@dataclass(slots=True)
class _Trouble:
    mode: Mode
    times: int
    status: int = 0
    retry_after: int | None = None


class MessagesApi:
    """Answers ``POST /v1/messages`` from scripts; the first that matches the prompt is used.

    Without a script the edits that the prompt itself asks for are made. ``requests`` is the
    log.
    """

    def __init__(self, server: LoopbackServer) -> None:
        self.requests: list[MessagesRequest] = []
        self._server = server
        self._lock = threading.Lock()
        self._scripts: list[Script] = []
        self._trouble: list[_Trouble] = []
        self.app = Starlette(
            routes=[
                Route("/v1/messages", self._messages, methods=["POST"]),
                Route("/v1/messages/count_tokens", self._count, methods=["POST"]),
            ]
        )

    def script(self, *turns: Turn, match: str = "") -> None:
        """Say ``turns`` to every later conversation whose prompt contains ``match``."""
        with self._lock:
            self._scripts.append(Script(turns, match))

    def fail(self, status: int, *, times: int = 1, retry_after: int | None = None) -> None:
        """Refuse the next requests with ``status``, after the troubles planned before."""
        self._plan(_Trouble("fail", times, status, retry_after))

    def hang(self, *, times: int = 1) -> None:
        """Take the next requests and say nothing."""
        self._plan(_Trouble("hang", times))

    def cut(self, *, times: int = 1) -> None:
        """Break the connection in the middle of the next answers."""
        self._plan(_Trouble("cut", times))

    def clear(self) -> None:
        """Forget scripts and planned troubles."""
        with self._lock:
            self._scripts.clear()
            self._trouble.clear()

    def _plan(self, trouble: _Trouble) -> None:
        with self._lock:
            self._trouble.append(trouble)

    def _take_trouble(self) -> _Trouble | None:
        with self._lock:
            if not self._trouble:
                return None
            trouble = self._trouble[0]
            trouble.times -= 1
            if trouble.times <= 0:
                self._trouble.pop(0)
            return trouble

    def _script_for(self, prompt: str) -> Script:
        with self._lock:
            for script in self._scripts:
                if script.match in prompt:
                    return script
        return script_for_prompt(prompt)

    async def _count(self, request: Request) -> Response:
        return JSONResponse({"input_tokens": max(len(await request.body()) // 4, 1)})

    async def _messages(self, request: Request) -> Response:
        body = json.loads(await request.body())
        trouble = self._take_trouble()
        prompt, turn = _first_prompt(body), _turn(body)
        status = trouble.status if trouble is not None and trouble.mode == "fail" else 200
        model = body.get("model", "")
        self.requests.append(
            MessagesRequest(request.url.path, model, prompt, turn, status, _last_prompt(body))
        )
        if trouble is not None and trouble.mode == "fail":
            return _refusal(trouble)
        if trouble is not None and trouble.mode == "hang":
            while not await request.is_disconnected():  # noqa: ASYNC110 -- no event tells it
                await asyncio.sleep(_HANG_LOOK_SECONDS)
        message = _message(body, self._blocks(body, prompt, turn), len(self.requests))
        if not body.get("stream", False):
            return JSONResponse(message)
        events = list(_events(message))
        is_cut = trouble is not None and trouble.mode == "cut"
        port = request.client.port if is_cut and request.client is not None else None
        return StreamingResponse(self._send(events, port), media_type="text/event-stream")

    def _blocks(self, body: dict[str, Any], prompt: str, turn: int) -> Turn:
        # Requests without tools are the program's own small ones (a title, a summary).
        if not body.get("tools"):
            return [Say("Work on an issue")]
        turns = self._script_for(prompt).turns
        return turns[turn] if turn < len(turns) else [Say("Done.")]

    async def _send(self, events: list[dict[str, Any]], cut_port: int | None) -> AsyncIterator[str]:
        # A cut comes inside the last block, before its stop and the message's two last events.
        for event in events if cut_port is None else events[:-3]:
            yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
        if cut_port is not None:
            await asyncio.sleep(0)
            self._server.cut(cut_port)


def _refusal(trouble: _Trouble) -> Response:
    kind = _ERROR_TYPES.get(trouble.status, "api_error")
    error = {"type": kind, "message": f"scripted {trouble.status}"}
    wait = {} if trouble.retry_after is None else {"retry-after": str(trouble.retry_after)}
    return JSONResponse({"type": "error", "error": error}, trouble.status, headers=wait)


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for block in content:
            if isinstance(block, dict) and isinstance(block.get("text"), str):
                yield block["text"]


def _first_prompt(body: dict[str, Any]) -> str:
    """All texts of the first user message: reminders of the program and the prompt itself."""
    for message in body.get("messages", []):
        if message.get("role") == "user":
            return "\n".join(_texts(message.get("content")))
    return ""


def _last_prompt(body: dict[str, Any]) -> str:
    """All texts of the last user message that has any: results of tools have none."""
    said = [one for one in body.get("messages", []) if one.get("role") == "user"]
    texts = ("\n".join(_texts(message.get("content"))) for message in reversed(said))
    return next((text for text in texts if text), "")


def _turn(body: dict[str, Any]) -> int:
    """How many turns the model has had."""
    return sum(message.get("role") == "assistant" for message in body.get("messages", []))


def _working_directory(body: dict[str, Any]) -> str:
    sources = [body.get("system"), *(one.get("content") for one in body.get("messages", []))]
    for source in sources:
        for text in _texts(source):
            found = _WORKING_DIRECTORY.search(text)
            if found is not None:
                return found[1]
    return "."


def _filled(value: Any, directory: str) -> Any:
    if isinstance(value, str):
        return value.replace("{cwd}", directory)
    if isinstance(value, dict):
        return {key: _filled(one, directory) for key, one in value.items()}
    return value


def _message(body: dict[str, Any], blocks: Turn, number: int) -> dict[str, Any]:
    directory = _working_directory(body)
    content: list[dict[str, Any]] = []
    for index, block in enumerate(blocks):
        if isinstance(block, Say):
            content.append({"type": "text", "text": block.text})
        else:
            call = {"type": "tool_use", "id": f"toolu_{number:06}{index:02}", "name": block.tool}
            content.append(call | {"input": _filled(dict(block.input), directory)})
    uses_tool = any(isinstance(block, Use) for block in blocks)
    return {
        "id": f"msg_{number:08}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model", ""),
        "content": content,
        "stop_reason": "tool_use" if uses_tool else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": max(len(json.dumps(body)) // 4, 1),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": max(len(json.dumps(content)) // 4, 1),
        },
    }


def _events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    usage = message["usage"]
    opening = message | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    yield {"type": "message_start", "message": opening}
    for index, block in enumerate(message["content"]):
        is_text = block["type"] == "text"
        nothing: dict[str, Any] = {"text": ""} if is_text else {"input": {}}
        delta = (
            {"type": "text_delta", "text": block["text"]}
            if is_text
            else {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        )
        yield {"type": "content_block_start", "index": index, "content_block": block | nothing}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    last = {"output_tokens": usage["output_tokens"]}
    yield {"type": "message_delta", "delta": stop, "usage": last}
    yield {"type": "message_stop"}
