from __future__ import annotations

from datetime import UTC, datetime

import pytest

from claude_flow.cli.transcript import readable
from claude_flow.model.events import (
    AgentEvent,
    Happening,
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
    UsageTold,
)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def told(what: Happening) -> list[str]:
    return list(readable(AgentEvent(NOW, 2, "hook-before-run", what)))


@pytest.mark.parametrize(
    ("what", "lines"),
    [
        (Started(), ["== attempt 2: hook-before-run"]),
        (SessionStarted("m"), ["* session begins, model m"]),
        (SessionStarted(), ["* session begins, model unknown"]),
        (Text("a\nb"), ["a", "b"]),
        (Output("Starting swarm..."), ["Starting swarm..."]),
        (ToolUse("Bash", "git diff"), ["> Bash: git diff"]),
        (ToolResult("one\ntwo\nthree", is_error=False), ["< one (and 2 lines more)"]),
        (ToolResult("no such file", is_error=True), ["! no such file"]),
        (ToolResult("", is_error=False), ["< "]),
        (PermissionDenied("Bash"), ["! permission denied: Bash"]),
        (HostRefused("a.org", 80, "not listed"), ["! no connection to a.org:80: not listed"]),
        (Retry(529, 2.5), ["! the API is asked again (529, after 2.5 s)"]),
        (Retry(), ["! the API is asked again (no answer)"]),
        (UsageTold(3, 100), []),
        (Truncated(100), ["! more than 100 bytes: the rest is not told; see --raw"]),
        (
            Result(ok=True, exit_code=0, turns=3, cost_usd=0.25, text="Done."),
            ["* result: success, 3 turns, 0.2500 USD"],
        ),
        (
            Result(ok=False, reason="agent_failed", detail="it broke off", exit_code=1),
            ["* result: agent_failed, exit code 1", "it broke off"],
        ),
        (Result(ok=False, stopped="cut_short"), ["* result: cut_short"]),
    ],
)
def test_events_as_text(what: Happening, lines: list[str]) -> None:
    assert told(what) == lines


def test_a_long_tool_answer_is_shortened() -> None:
    [line] = told(ToolUse("W", "x" * 900))
    assert len(line) < 250
