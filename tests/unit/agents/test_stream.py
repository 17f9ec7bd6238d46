import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from claude_flow.agents.stream import StreamReader
from claude_flow.model.events import (
    Output,
    PermissionDenied,
    Retry,
    SessionStarted,
    Text,
    ToolResult,
    ToolUse,
    UsageTold,
)
from claude_flow.model.run import Usage

DENIED = [PermissionDenied("Bash")]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
# Keys that the reader looks at, with values of any shape.
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["assistant", "user", "system", "result", "rate_limit_event"]) | JSON},
    optional=dict.fromkeys(
        (
            *("subtype", "message", "is_error", "permission_denials", "usage", "num_turns"),
            *("total_cost_usd", "api_error_status", "error_status", "result"),
            *("modelUsage", "model_usage_since_last_result", "rate_limit_info", "session_id"),
        ),
        JSON,
    ),
)


def read(*events: dict[str, Any] | str) -> StreamReader:
    reader = StreamReader()
    for event in events:
        reader.feed(event if isinstance(event, str) else json.dumps(event))
    return reader


@given(st.lists(st.binary(max_size=200)))
def test_any_bytes_are_borne(lines: list[bytes]) -> None:
    reader = read(*(line.decode("utf-8", errors="replace") for line in lines))
    assert not reader.refused_key


@settings(max_examples=40)
@given(st.lists(EVENTS | st.dictionaries(st.text(), JSON), max_size=5))
def test_any_json_is_borne_and_gives_sound_numbers(events: list[dict[str, Any]]) -> None:
    reader = read(*events)
    usage = reader.progress.usage
    for number in (usage.turns, usage.tokens, usage.cost_usd):
        assert number is None or number >= 0
    assert reader.progress.last_event is None or len(reader.progress.last_event) <= 100
    is_clean = any(event.get("is_error") is False for event in events)
    assert reader.result is None or reader.result.is_error or is_clean


@settings(max_examples=10)
@given(depth=st.integers(1000, 200_000))
def test_deep_nesting_is_borne(depth: int) -> None:
    assert read('{"a":' * depth).result is None


def test_usage_counts_each_message_once() -> None:
    first = {"id": "m1", "usage": {"input_tokens": 10, "output_tokens": 1}}
    more = {"id": "m1", "usage": {"input_tokens": 10, "output_tokens": 5}}
    second = {
        "id": "m2",
        "usage": {
            "input_tokens": 1,
            "output_tokens": 2,
            "cache_read_input_tokens": 30,
            "cache_creation_input_tokens": 400,
        },
    }
    reader = read(*({"type": "assistant", "message": one} for one in (first, more, second)))
    assert reader.progress.usage == Usage(turns=2, tokens=15 + 433)


def test_the_last_event_is_told_in_a_few_words() -> None:
    reader = StreamReader()
    told = []
    for event in (
        {"type": "system", "subtype": "init"},
        {"type": "assistant", "message": {"content": [{"type": "text", "text": "Hm."}]}},
        {"type": "assistant", "message": {"content": [{"type": "tool_use", "name": "Write"}]}},
        {"type": "user", "message": {}},
        {"type": "system", "subtype": "api_retry", "error_status": 529},
        {"type": "unknown"},
        {"subtype": "success", "is_error": False, "type": "result"},
    ):
        reader.feed(json.dumps(event))
        told.append(reader.progress.last_event)
    asked_again = "asks the API again after 529"
    assert told == [
        *("init", "speaks", "uses Write", "tool result"),
        *(asked_again, asked_again, "result: success"),
    ]
    assert not reader.refused_key


def test_what_a_line_tells() -> None:
    def tool_result(content: object, **more: object) -> dict[str, Any]:
        block = {"type": "tool_result", "content": content, **more}
        return {"type": "user", "message": {"content": [block]}}

    def says(*blocks: dict[str, Any], **more: object) -> dict[str, Any]:
        return {"type": "assistant", "message": {"content": list(blocks), **more}}

    reader = StreamReader()
    used = {"input_tokens": 3, "output_tokens": 4}
    bash = {"type": "tool_use", "name": "Bash", "input": {"description": "d", "command": "make"}}
    odd = {"type": "tool_use", "name": "Odd", "input": {"x": 1}}
    for event, told in (
        ({"type": "system", "subtype": "init", "model": "m"}, [SessionStarted("m")]),
        (says({"type": "text", "text": "Hm."}), [Text("Hm.")]),
        (says(bash, odd), [ToolUse("Bash", "make"), ToolUse("Odd", '{"x": 1}')]),
        (says(id="m1", usage=used), [UsageTold(1, 7, model="m")]),
        (says(id="m1", usage=used), []),
        (says(id="m2", usage=used), [UsageTold(2, 14, model="m")]),
        (tool_result("fine"), [ToolResult("fine", is_error=False)]),
        (
            tool_result([{"text": "a"}, {"text": "b"}], is_error=True),
            [ToolResult("a\nb", is_error=True)],
        ),
        ({"type": "system", "subtype": "permission_denied", "tool_name": "Bash"}, DENIED),
        (
            {"type": "system", "subtype": "api_retry", "error_status": 529, "retry_delay_ms": 500},
            [Retry(529, 0.5)],
        ),
        ({"type": "system", "subtype": "api_retry", "error_status": None}, [Retry()]),
        ({"type": "unknown"}, []),
        ({"type": "result", "num_turns": 2, "total_cost_usd": 1}, [UsageTold(2, None, 1, "m")]),
    ):
        assert list(reader.feed(json.dumps(event))) == told, event
    for line in ("a banner", "{half", "[]", '{"no": "event"}'):
        assert reader.feed(line) == (Output(line),)
    assert reader.feed("  ") == ()


@given(st.lists(EVENTS, max_size=5))
def test_the_same_lines_tell_the_same(events: list[dict[str, Any]]) -> None:
    first, second = StreamReader(), StreamReader()
    lines = [json.dumps(event) for event in events]
    # As text, for what is not a number is not equal to itself.
    assert repr([first.feed(line) for line in lines]) == repr([second.feed(line) for line in lines])


def test_the_last_result_counts() -> None:
    reader = read(
        {"type": "result", "subtype": "success", "is_error": True},
        "plain text",
        {
            "num_turns": 3,
            "total_cost_usd": 0.25,
            "usage": {"input_tokens": 7, "output_tokens": 8},
            "result": "Did it.",
            "permission_denials": [],
            "is_error": False,
            "subtype": "success",
            "type": "result",
        },
    )
    assert reader.result is not None
    assert not reader.result.is_error
    assert reader.result.text == "Did it."
    assert reader.progress.usage == Usage(turns=3, tokens=15, cost_usd=0.25)


def test_a_retry_after_401_is_a_refused_key() -> None:
    retry = {"type": "system", "subtype": "api_retry", "error_status": 401}
    assert read(retry).refused_key


def test_denied_tools_are_named_once() -> None:
    denials = [{"tool_name": "Bash"}, {"tool_name": "WebFetch"}, {"tool_name": "Bash"}]
    reader = read({"type": "result", "is_error": False, "permission_denials": denials})
    assert reader.result is not None
    assert reader.result.denied_tools == ("Bash", "WebFetch")
    unclear = read({"type": "result", "is_error": False, "permission_denials": ["?"]}).result
    assert unclear is not None
    assert unclear.denied_tools == ("a tool",)
