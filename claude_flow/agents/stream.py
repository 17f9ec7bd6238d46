"""Reads stream-json, the line format in which Claude Code tells what it does.

Whatever is not understood (banners, plain text, half lines, new event types) is ignored: a
stream is data from a program that may change, and never a reason to fail.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from claude_flow.agents.happenings import happenings
from claude_flow.agents.json_values import (
    as_amount,
    as_count,
    as_mapping,
    as_mappings,
    as_moment,
    as_text,
)
from claude_flow.model.events import Happening, Output, UsageTold
from claude_flow.model.failures import FailureKind, ModelFailure
from claude_flow.model.run import Usage
from claude_flow.ports import Progress

_TOKEN_KINDS = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)
_UNAUTHORIZED = 401
_OUR_LIMITS = {
    "error_max_turns": FailureKind.TURN_LIMIT,
    "error_max_budget_usd": FailureKind.BUDGET,
}
# What Claude Code calls its own words when the API gave none.
_NO_MODEL = "<synthetic>"
# An older form of Claude Code's: "usage limit reached|1767225600".
_LIMIT_WITH_RESET = re.compile(r"limit reached\|([0-9]{9,11})\b")


@dataclass(frozen=True, slots=True)
class StreamResult:
    """The closing event: what the agent says of its own work."""

    is_error: bool
    """False only if the event says exactly that."""
    subtype: str
    denied_tools: tuple[str, ...]
    text: str | None
    usage: Usage
    failure: ModelFailure | None
    """What stood in the way; None also for a failure of no known kind."""


class StreamReader:
    """Keeps what matters of a stream."""

    def __init__(self) -> None:
        self.result: StreamResult | None = None
        """The last one; a second may follow when background work ends."""
        self.refused_key: bool = False
        """Whether the API answered 401; the CLI would go on trying for minutes."""
        self.session_id: str | None = None
        """Of the latest session that began."""
        self._model: str | None = None
        self._limit_resets_at: datetime | None = None
        self._tokens: dict[str, int] = {}
        self._last_event: str | None = None
        self._told_usage = Usage()

    def feed(self, line: str) -> tuple[Happening, ...]:
        """Take one line; what it tells. The same lines always tell the same."""
        event = _parse(line)
        if event is None:
            return (Output(line),) if line.strip() else ()
        self._take(event)
        usage = self.progress.usage
        if usage in (Usage(model=usage.model), self._told_usage):
            return tuple(happenings(event))
        self._told_usage = usage
        return (*happenings(event), UsageTold.of(usage))

    def _take(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "assistant":
                self._assistant(as_mapping(event.get("message")))
            case "result":
                self.result = self._result(event)
                self._last_event = f"result: {self.result.subtype}"
            case "system":
                self._system(event)
            case "user":
                self._last_event = "tool result"
            case "rate_limit_event":
                self._rate_limit(as_mapping(event.get("rate_limit_info")))

    @property
    def progress(self) -> Progress:
        """Turns and tokens as far as told, and a few words on the latest event."""
        if self.result is not None:
            return Progress(self.result.usage, self._last_event)
        usage = Usage(model=self._model)
        if self._tokens:
            usage = replace(usage, turns=len(self._tokens), tokens=sum(self._tokens.values()))
        return Progress(usage, self._last_event)

    def _assistant(self, message: dict[str, Any]) -> None:
        if message.get("model") == _NO_MODEL:
            return
        self._model = as_text(message.get("model")) or self._model
        identity = message.get("id")
        if isinstance(identity, str):
            # One message comes as several lines, each with the usage so far.
            self._tokens[identity] = max(self._tokens.get(identity, 0), _tokens(message))
        for block in as_mappings(message.get("content")):
            name = block.get("name")
            is_tool = block.get("type") == "tool_use" and isinstance(name, str)
            self._last_event = f"uses {name}"[:80] if is_tool else "speaks"

    def _system(self, event: dict[str, Any]) -> None:
        subtype = as_text(event.get("subtype")) or "system"
        self._last_event = subtype[:80]
        if subtype == "init":
            self.session_id = as_text(event.get("session_id")) or self.session_id
            self._model = as_text(event.get("model")) or self._model
        if subtype == "api_retry":
            status = event.get("error_status")
            self._last_event = f"asks the API again after {as_text(status) or status}"[:80]
            self.refused_key = self.refused_key or status == _UNAUTHORIZED

    def _rate_limit(self, info: dict[str, Any]) -> None:
        if info.get("status") == "rejected":
            self._limit_resets_at = as_moment(info.get("resetsAt"))

    def _result(self, event: dict[str, Any]) -> StreamResult:
        denials = event.get("permission_denials")
        denied = [
            as_text(denial.get("tool_name")) or "a tool without a name"
            for denial in as_mappings(denials)
        ]
        if denials and not denied:
            denied = ["a tool"]
        is_error = event.get("is_error") is not False
        earlier = self.result.usage.cost_usd if self.result else None
        return StreamResult(
            is_error=is_error,
            subtype=(as_text(event.get("subtype")) or "without a subtype")[:80],
            denied_tools=tuple(dict.fromkeys(name[:80] for name in denied)),
            text=as_text(event.get("result")),
            usage=_usage(event, self._model, earlier or 0.0),
            failure=_failure(event, self._limit_resets_at) if is_error else None,
        )


def _parse(line: str) -> dict[str, Any] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_event = isinstance(event, dict) and isinstance(event.get("type"), str)
    return event if is_event else None


def _usage(event: dict[str, Any], model: str | None, earlier_cost_usd: float) -> Usage:
    by_model = _costs(event.get("modelUsage"))
    cost_usd = as_amount(event.get("total_cost_usd"))
    if isinstance(since_last_result := event.get("model_usage_since_last_result"), dict):
        # The total counts the whole session, also what it cost before it was resumed.
        cost_usd = earlier_cost_usd + sum(_costs(since_last_result).values())
    return Usage(
        turns=as_count(event.get("num_turns")),
        tokens=_tokens(event) if isinstance(event.get("usage"), dict) else None,
        cost_usd=cost_usd,
        model=max(by_model, key=by_model.__getitem__) if by_model else model,
    )


def _costs(by_model: object) -> dict[str, float]:
    return {
        name: as_amount(as_mapping(used).get("costUSD")) or 0.0
        for name, used in as_mapping(by_model).items()
    }


def _failure(event: dict[str, Any], resets_at: datetime | None) -> ModelFailure | None:
    ours = _OUR_LIMITS.get(as_text(event.get("subtype")) or "")
    if ours is not None:
        return ModelFailure(ours)
    told = _LIMIT_WITH_RESET.search(as_text(event.get("result")) or "")
    if told is not None:
        return ModelFailure(FailureKind.USAGE_LIMIT, 429, as_moment(int(told[1])))
    status = as_count(event.get("api_error_status"))
    if status is not None:
        return ModelFailure.of_status(status, resets_at=resets_at)
    if event.get("terminal_reason") == "api_error":
        return ModelFailure(FailureKind.UNREACHABLE)
    return None


def _tokens(holder: dict[str, Any]) -> int:
    usage = as_mapping(holder.get("usage"))
    return sum(as_count(usage.get(kind)) or 0 for kind in _TOKEN_KINDS)
