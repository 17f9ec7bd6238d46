from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.cli.transcript import readable


def told(event: Any) -> list[str]:
    return list(readable(json.dumps(event)))


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"type": "assistant", "message": {"content": list(blocks)}}


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        ({"type": "system", "subtype": "init", "model": "m"}, ["* session begins, model m"]),
        (assistant({"type": "text", "text": "a\nb"}), ["a", "b"]),
        (
            assistant({"type": "tool_use", "name": "Bash", "input": {"command": "git diff"}}),
            ["> Bash: git diff"],
        ),
        (
            assistant({"type": "tool_use", "name": "Edit", "input": {"x": 1}}),
            ['> Edit: {"x": 1}'],
        ),
        (
            {
                "type": "user",
                "message": {"content": [{"type": "tool_result", "content": "one\ntwo\nthree"}]},
            },
            ["< one (and 2 lines more)"],
        ),
        (
            {
                "type": "user",
                "message": {
                    "content": [
                        {
                            "type": "tool_result",
                            "is_error": True,
                            "content": [{"type": "text", "text": "no such file"}],
                        }
                    ]
                },
            },
            ["! no such file"],
        ),
        (
            {"type": "system", "subtype": "permission_denied", "tool_name": "Bash"},
            ["! permission denied: Bash"],
        ),
        (
            {"type": "system", "subtype": "api_retry", "error_status": 529},
            ["! the API is asked again (529)"],
        ),
        (
            {
                "result": "Done.",
                "type": "result",
                "subtype": "success",
                "is_error": False,
                "num_turns": 3,
                "total_cost_usd": 0.25,
                "duration_ms": 1500,
            },
            ["* result: success, 3 turns, 0.2500 USD, 1.5 s", "Done."],
        ),
        (
            {"type": "result", "subtype": "success", "is_error": True},
            ["* result: error (success)"],
        ),
        ({"type": "something_new"}, []),
    ],
)
def test_events_as_text(event: Any, lines: list[str]) -> None:
    assert told(event) == lines


def test_what_is_no_event_passes_as_it_is() -> None:
    for line in ("Starting swarm...", "[1, 2]", "", '{"type": '):
        assert list(readable(line + "\n")) == [line]


def test_a_long_tool_answer_is_shortened() -> None:
    [line] = told(assistant({"type": "tool_use", "name": "W", "input": {"command": "x" * 5000}}))
    assert len(line) < 250


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "message", "content", "text", "input", "result", "subtype"])
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(["assistant", "user", "system", "result", "x"]),
    st.dictionaries(st.sampled_from(["message", "subtype", "result", "num_turns"]), _JSON),
)
def test_no_event_whatever_breaks_it(kind: str, event: dict[str, Any]) -> None:
    for line in readable(json.dumps({"type": kind, **event})):
        assert "\n" not in line
