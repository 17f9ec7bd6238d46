from __future__ import annotations

from typing import Any

import pytest

from claude_flow.config import config_schema
from claude_flow.config.coercion import CoercionError, coerce

SETTINGS = config_schema().settings


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("claude_flow.max_turns", "1", 1),
        ("claude_flow.max_turns", " +7\n", 7),
        ("github.poll_interval_seconds", "30", 30),
        ("github.poll_interval_seconds", "1e1", 10.0),
        ("github.poll_interval_seconds", ".5", 0.5),
        ("github.trigger_label", "123", "123"),
        ("github.trigger_label", "true", "true"),
        ("github.token", "null", "null"),
        ("github.app.id", "null", None),
        ("claude_flow.command", "null", None),
        ("github.pull_request.draft", "On", True),
        ("github.pull_request.draft", "0", False),
        ("github.repositories", '["a/b"]', ["a/b"]),
        ("github.repositories", "7", 7),  # JSON; the schema refuses it with all other faults
    ],
)
def test_a_text_becomes_the_schemas_type(key: str, text: str, value: Any) -> None:
    coerced = coerce(text, SETTINGS[key])
    assert coerced == value
    assert type(coerced) is type(value)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("claude_flow.max_turns", ""),
        ("claude_flow.max_turns", "1.0"),
        ("claude_flow.max_turns", "1_000"),
        ("claude_flow.max_turns", "0\x1f"),
        ("claude_flow.max_turns", "٣"),
        ("claude_flow.max_turns", "9" * 5000),
        ("github.poll_interval_seconds", "nan"),
        ("github.poll_interval_seconds", "inf"),
        ("github.poll_interval_seconds", "1e999"),
        ("github.poll_interval_seconds", "1\x1c"),
        ("github.pull_request.draft", "2"),
        ("github.repositories", "a/b"),
        ("github.repositories", ""),
    ],
)
def test_what_names_no_value_is_an_error(key: str, text: str) -> None:
    with pytest.raises(CoercionError):
        coerce(text, SETTINGS[key])
