"""What Claude Code's stream-json tells, as events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from claude_flow.agents.json_values import as_amount, as_count, as_mapping, as_mappings, as_text
from claude_flow.model.events import (
    Happening,
    PermissionDenied,
    Retry,
    SessionStarted,
    Text,
    ToolResult,
    ToolUse,
)

# What says most of a tool's input, the first that is there.
_TELLING = ("command", "file_path", "path", "pattern", "url", "description")


def happenings(event: Mapping[str, Any]) -> Iterator[Happening]:
    """Those of one object of the stream; none for kinds that tell people nothing.

    What the agent used and how it ended is told from the whole stream, not from here.
    """
    match event.get("type"):
        case "assistant":
            yield from _said(as_mapping(event.get("message")))
        case "user":
            yield from _answered(as_mapping(event.get("message")))
        case "system":
            yield from _system(event)


def _said(message: Mapping[str, Any]) -> Iterator[Happening]:
    for block in as_mappings(message.get("content")):
        said = as_text(block.get("text"))
        if block.get("type") == "text" and said is not None:
            yield Text(said)
        elif block.get("type") == "tool_use":
            yield ToolUse(as_text(block.get("name")) or "a tool", _input(block.get("input")))


def _answered(message: Mapping[str, Any]) -> Iterator[Happening]:
    for block in as_mappings(message.get("content")):
        if block.get("type") == "tool_result":
            yield ToolResult(_content(block.get("content")), is_error=bool(block.get("is_error")))


def _system(event: Mapping[str, Any]) -> Iterator[Happening]:
    match event.get("subtype"):
        case "init":
            yield SessionStarted(as_text(event.get("model")), as_text(event.get("session_id")))
        case "permission_denied":
            yield PermissionDenied(as_text(event.get("tool_name")))
        case "api_retry":
            delay = as_amount(event.get("retry_delay_ms"))
            yield Retry(
                as_count(event.get("error_status")), None if delay is None else delay / 1000
            )


def _input(given: object) -> str:
    if not isinstance(given, dict):
        return "" if given is None else str(given)
    told = (as_text(given.get(name)) for name in _TELLING)
    return next(filter(None, told), None) or json.dumps(given, ensure_ascii=False)


def _content(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(as_text(part.get("text")) or "" for part in as_mappings(content))
    return "" if content is None else str(content)
