"""An agent's stream-json output as text for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_SHOWN = 200  # characters of what a tool was given or answered


def readable(line: str) -> Iterator[str]:
    """The lines that tell what an output line says; none if it says nothing to people.

    What is not a JSON object is passed on as it is, unknown kinds of events are left out.
    """
    text = line.rstrip("\n")
    try:
        event = json.loads(text)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        yield text
        return
    kind = event.get("type")
    if kind in {"assistant", "user"}:
        yield from _message(event)
    elif kind == "system":
        yield from _system(event)
    elif kind == "result":
        yield from _result(event)


def _message(event: Mapping[str, Any]) -> Iterator[str]:
    message = event.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    for block in content if isinstance(content, list) else []:
        if not isinstance(block, dict):
            continue
        kind = block.get("type")
        if kind == "text" and event.get("type") == "assistant":
            yield from str(block.get("text", "")).splitlines()
        elif kind == "tool_use":
            yield f"> {block.get('name')}: {_brief(_given(block.get('input')))}"
        elif kind == "tool_result":
            mark = "!" if block.get("is_error") else "<"
            yield f"{mark} {_brief(_answered(block.get('content')))}"


def _system(event: Mapping[str, Any]) -> Iterator[str]:
    kind = event.get("subtype")
    if kind == "init":
        yield f"* session begins, model {event.get('model', 'unknown')}"
    elif kind == "permission_denied":
        yield f"! permission denied: {event.get('tool_name', 'a tool')}"
    elif kind == "api_retry":
        status = event.get("error_status") or event.get("error") or "no answer"
        yield f"! the API is asked again ({status})"


def _result(event: Mapping[str, Any]) -> Iterator[str]:
    parts = [str(event.get("subtype", "ended"))]
    if event.get("is_error"):
        parts[0] = f"error ({parts[0]})"
    if isinstance(turns := event.get("num_turns"), int):
        parts.append(f"{turns} turns")
    if isinstance(cost := event.get("total_cost_usd"), int | float):
        parts.append(f"{cost:.4f} USD")
    if isinstance(duration := event.get("duration_ms"), int | float):
        parts.append(f"{duration / 1000:.1f} s")
    yield f"* result: {', '.join(parts)}"
    if isinstance(text := event.get("result"), str):
        yield from text.splitlines()


def _given(given: object) -> str:
    if not isinstance(given, dict):
        return str(given)
    for name in ("command", "file_path", "path", "pattern", "url", "description"):
        if isinstance(value := given.get(name), str):
            return value
    return json.dumps(given, ensure_ascii=False)


def _answered(content: object) -> str:
    if isinstance(content, list):
        texts = (str(part.get("text", "")) for part in content if isinstance(part, dict))
        return "\n".join(texts)
    return "" if content is None else str(content)


def _brief(text: str) -> str:
    lines = text.strip().splitlines() or [""]
    first = lines[0][:_SHOWN] + ("…" if len(lines[0]) > _SHOWN else "")
    return f"{first} (and {len(lines) - 1} lines more)" if len(lines) > 1 else first
