"""Reads stream-json, the line format in which Claude Code tells what it does.

Whatever is not understood (banners, plain text, half lines, new event types) is ignored: a
stream is data from a program that may change, and never a reason to fail.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from claude_flow.model.run import Usage
from claude_flow.ports import Progress

_TOKEN_KINDS = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)
_UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class StreamResult:
    """The closing event: what the agent says of its own work."""

    is_error: bool
    """False only if the event says exactly that."""
    subtype: str
    api_error_status: int | None
    denied_tools: tuple[str, ...]
    text: str | None
    usage: Usage


class StreamReader:
    """Keeps what matters of a stream."""

    def __init__(self) -> None:
        self.result: StreamResult | None = None
        """The last one; a second may follow when background work ends."""
        self.refused_key: bool = False
        """Whether the API answered 401; the CLI would go on trying for minutes."""
        self._tokens: dict[str, int] = {}
        self._last_event: str | None = None

    def feed(self, line: str) -> None:
        """Take one line."""
        event = _parse(line)
        if event is None:
            return
        match event.get("type"):
            case "assistant":
                self._assistant(_mapping(event.get("message")))
            case "result":
                self.result = _result(event)
                self._last_event = f"result: {self.result.subtype}"
            case "system":
                self._system(event)
            case "user":
                self._last_event = "tool result"

    @property
    def progress(self) -> Progress:
        """Turns and tokens as far as told, and a few words on the latest event."""
        if self.result is not None:
            return Progress(self.result.usage, self._last_event)
        if not self._tokens:
            return Progress(Usage(), self._last_event)
        usage = Usage(turns=len(self._tokens), tokens=sum(self._tokens.values()))
        return Progress(usage, self._last_event)

    def _assistant(self, message: dict[str, Any]) -> None:
        identity = message.get("id")
        if isinstance(identity, str):
            # One message comes as several lines, each with the usage so far.
            self._tokens[identity] = max(self._tokens.get(identity, 0), _tokens(message))
        for block in _mappings(message.get("content")):
            name = block.get("name")
            is_tool = block.get("type") == "tool_use" and isinstance(name, str)
            self._last_event = f"uses {name}"[:80] if is_tool else "speaks"

    def _system(self, event: dict[str, Any]) -> None:
        subtype = _text(event.get("subtype")) or "system"
        self._last_event = subtype[:80]
        if subtype == "api_retry":
            status = event.get("error_status")
            self._last_event = f"asks the API again after {_text(status) or status}"[:80]
            self.refused_key = self.refused_key or status == _UNAUTHORIZED


def _parse(line: str) -> dict[str, Any] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _result(event: dict[str, Any]) -> StreamResult:
    denials = event.get("permission_denials")
    denied = [
        _text(denial.get("tool_name")) or "a tool without a name" for denial in _mappings(denials)
    ]
    if denials and not denied:
        denied = ["a tool"]
    return StreamResult(
        is_error=event.get("is_error") is not False,
        subtype=(_text(event.get("subtype")) or "without a subtype")[:80],
        api_error_status=_count(event.get("api_error_status")),
        denied_tools=tuple(dict.fromkeys(name[:80] for name in denied)),
        text=_text(event.get("result")),
        usage=Usage(
            turns=_count(event.get("num_turns")),
            tokens=_tokens(event) if isinstance(event.get("usage"), dict) else None,
            cost_usd=_amount(event.get("total_cost_usd")),
        ),
    )


def _tokens(holder: dict[str, Any]) -> int:
    usage = _mapping(holder.get("usage"))
    return sum(_count(usage.get(kind)) or 0 for kind in _TOKEN_KINDS)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _amount(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        amount = float(value)
    except OverflowError:
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None
