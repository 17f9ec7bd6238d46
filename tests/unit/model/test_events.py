from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.config import schema_path
from claude_flow.model.events import (
    KINDS,
    AgentEvent,
    Happening,
    Output,
    Retry,
    Text,
    ToolUse,
    Truncated,
    for_keeping,
)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SCHEMA = json.loads(schema_path("agent-event.schema.json").read_bytes())
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA, validate_formats=True)

counts = st.none() | st.integers(0, 10**12)
numbers = st.none() | st.floats(0, 1e9)
OF_FIELD = {
    "turns": counts,
    "tokens": counts,
    "status": counts,
    "exit_code": st.none() | st.integers(0, 255),
    "limit_bytes": st.integers(1),
    "port": st.integers(0, 65535),
    "cost_usd": numbers,
    "delay_seconds": numbers,
    "ok": st.booleans(),
    "is_error": st.booleans(),
}
REQUIRED_TEXTS = {("text", "text"), ("output", "text"), ("tool_use", "name"), ("tool_use", "input")}
REQUIRED_TEXTS |= {("tool_result", "output"), ("host_refused", "host"), ("host_refused", "why")}
# Any text that an agent can say, longer than what is kept of it among them.
texts = st.text() | st.integers(990, 5000).map(lambda count: "ü" * count)


def happenings(kind: str) -> st.SearchStrategy[Happening]:
    def of(name: str) -> st.SearchStrategy[object]:
        optional = st.none() if (kind, name) not in REQUIRED_TEXTS else st.nothing()
        return OF_FIELD.get(name, optional | texts)

    return st.builds(KINDS[kind], **{field.name: of(field.name) for field in fields(KINDS[kind])})


events = st.builds(
    AgentEvent,
    at=st.integers(0, 4 * 10**12).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC)),
    attempt=st.integers(1, 99),
    part=st.sampled_from(["agent", "agent-2", "hook-before-run", "verify-1-1"]),
    what=st.sampled_from(sorted(KINDS)).flatmap(happenings).map(lambda it: for_keeping(it, str)),
)


@given(events)
def test_a_line_is_what_the_schema_describes_and_reads_back(event: AgentEvent) -> None:
    line = event.to_line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    VALIDATOR.validate(json.loads(line))
    again = AgentEvent.from_line(line)
    assert again.to_line() == line
    assert type(again.what) is type(event.what)


def test_the_schema_knows_the_kinds_and_their_fields() -> None:
    described = {
        kind["properties"]["kind"]["const"]: set(kind["required"]) for kind in SCHEMA["oneOf"]
    }
    assert described == {
        kind: {"kind", "at", "attempt", "part"} | {field.name for field in fields(happening)}
        for kind, happening in KINDS.items()
    }


def test_the_schema_refuses_what_is_none() -> None:
    jsonschema_rs.meta.validate(SCHEMA)
    fine = AgentEvent(NOW, 1, "agent", Text("hi")).to_json()
    assert VALIDATOR.is_valid(fine)
    for wrong in ({"kind": "shout"}, {"text": None}, {"attempt": 0}, {"at": "now"}, {"more": 1}):
        assert not VALIDATOR.is_valid(fine | wrong), wrong


def test_texts_are_kept_without_secrets_and_cut_afterwards() -> None:
    long = "a" * 995 + "secret" + "b" * 10_000
    kept = for_keeping(ToolUse("Bash", long), lambda text: text.replace("secret", "***"))
    assert kept == ToolUse("Bash", "a" * 995 + "***b…")
    assert for_keeping(Output("short"), str) == Output("short")
    assert for_keeping(Truncated(5), str) == Truncated(5)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "half a li",
        "[]",
        '{"kind": "text"}',
        '{"kind": "shout", "at": "2026-01-31T12:00:00.000Z", "attempt": 1, "part": "agent"}',
        '{"kind": "text", "at": "2026-01-31T12:00:00.000Z", "attempt": 1, "part": "agent"}',
        '{"kind": "text", "at": "later", "attempt": 1, "part": "agent", "text": "hi"}',
        '{"kind": "text", "at": "2026-01-31T12:00:00.000Z", "attempt": 1, "part": "a", "text": 7}',
        "[" * 100_000,
    ],
)
def test_what_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        AgentEvent.from_line(line)


def test_a_whole_number_of_seconds_is_one() -> None:
    event = AgentEvent(NOW, 1, "agent", Retry(529, 2.0))
    assert AgentEvent.from_json(event.to_json() | {"delay_seconds": 2}) == event
