"""An attempt's events as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from claude_flow.model.events import (
    AgentEvent,
    HostRefused,
    Output,
    PermissionDenied,
    Result,
    Retry,
    SessionStarted,
    Started,
    Text,
    ToolResult,
    ToolUse,
    Truncated,
)

_SHOWN = 200  # characters of what a tool was given or answered


def readable(event: AgentEvent) -> Iterator[str]:
    """The lines that tell an event; none if it says nothing to people."""
    match event.what:
        case Started():
            yield f"== attempt {event.attempt}: {event.part}"
        case SessionStarted(model):
            yield f"* session begins, model {model or 'unknown'}"
        case Text(text) | Output(text):
            yield from text.splitlines()
        case ToolUse(name, given):
            yield f"> {name}: {_brief(given)}"
        case ToolResult(output, is_error):
            yield f"{'!' if is_error else '<'} {_brief(output)}"
        case PermissionDenied() | HostRefused():
            yield f"! {_refusal(event.what)}"
        case Retry():
            yield f"! the API is asked again ({_why(event.what)})"
        case Truncated(limit_bytes):
            yield f"! more than {limit_bytes} bytes: the rest is not told; see --raw"
        case Result():
            yield from _result(event.what)


def _refusal(what: PermissionDenied | HostRefused) -> str:
    if isinstance(what, HostRefused):
        return f"no connection to {what.host}:{what.port}: {what.why}"
    return f"permission denied: {what.name or 'a tool'}"


def _why(retry: Retry) -> str:
    status = "no answer" if retry.status is None else str(retry.status)
    return status if retry.delay_seconds is None else f"{status}, after {retry.delay_seconds:.1f} s"


def _result(result: Result) -> Iterator[str]:
    parts = ["success" if result.ok else result.reason or result.stopped or "failed"]
    if result.exit_code:
        parts.append(f"exit code {result.exit_code}")
    if result.turns is not None:
        parts.append(f"{result.turns} turns")
    if result.cost_usd is not None:
        parts.append(f"{result.cost_usd:.4f} USD")
    yield f"* result: {', '.join(parts)}"
    if result.detail is not None:
        yield from result.detail.splitlines()


def _brief(text: str) -> str:
    lines = text.strip().splitlines() or [""]
    first = lines[0][:_SHOWN] + ("…" if len(lines[0]) > _SHOWN else "")
    return f"{first} (and {len(lines) - 1} lines more)" if len(lines) > 1 else first
