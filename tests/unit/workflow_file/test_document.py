"""A workflow file is read whole, and every fault in it is told with its line."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.config import schema_path
from claude_flow.errors import WorkflowFileError
from claude_flow.workflow_file import MAX_BYTES, parse
from claude_flow.workflow_file.document import schema

PATH = ".github/claude-flow.md"


def faults(text: str | bytes) -> str:
    content = text.encode() if isinstance(text, str) else text
    with pytest.raises(WorkflowFileError) as caught:
        parse(PATH, content)
    assert caught.value.message.startswith(f"{PATH}, line ")
    return caught.value.message.removeprefix(f"{PATH}, ")


def test_front_matter_and_template() -> None:
    found = parse(PATH, b"---\nmax_turns: 20\nbudget_usd: 1.5\n---\nDo {{ issue.title }}.\n")
    assert found.values == {"max_turns": 20, "budget_usd": 1.5}
    assert found.template == "Do {{ issue.title }}.\n"
    assert found.template_line == 5


def test_a_file_may_be_a_template_alone() -> None:
    found = parse(PATH, b"Do {{ issue.title }}.\n---\nmax_turns: 1\n")
    assert found.values == {}
    assert (found.template or "").startswith("Do ")
    assert found.template_line == 1


@pytest.mark.parametrize("text", ["", "\n \n", "---\n---\n", "---\n# nothing\n---\n\n"])
def test_a_file_may_set_nothing(text: str) -> None:
    found = parse(PATH, text.encode())
    assert (found.values, found.template) == ({}, None)


def test_windows_line_ends_and_a_byte_order_mark_are_taken() -> None:
    found = parse(PATH, b"\xef\xbb\xbf---\r\nmax_turns: 20\r\n---\r\nDo it.\r\n")
    assert found.values == {"max_turns": 20}
    assert found.template == "Do it.\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "---\n\nmax_turn: 3\n---\n",
            "line 3: max_turn is no key of a workflow file; did you mean max_turns?",
        ),
        ("---\nnonsense: 3\n---\n", "line 2: nonsense is no key of a workflow file"),
        ("---\nmax_turns: 0\n---\n", "line 2: max_turns: 0 is less than the minimum of 1"),
        ("---\n# why\nmax_turns: many\n---\n", 'line 3: max_turns: "many" is not of type'),
        ("---\nmax_turns: 3\nmax_turns: 4\n---\n", "line 3: 'max_turns' is there twice"),
        ("---\nmax_turns: [3\n---\n", "line 3: expected ',' or ']'"),
        ("---\nmax_turns: 3\n", "line 1: the front matter has no end"),
        ("---\n- max_turns\n---\n", "line 2: the front matter must be keys with values"),
        ("---\nbudget_usd: .inf\n---\n", "line 2: .inf is no number"),
        ("---\nmax_turns: &a 3\n---\n", "line 2: anchors and aliases"),
        ("---\nmax_turns: !!python/name:os.system x\n---\n", "line 2: 'x' is no plain value"),
        ("---\nmax_turns: 2026-01-31\n---\n", "line 2: '2026-01-31' is no plain value"),
        ("---\n3: 4\n---\n", "line 2: a key must be a name"),
        ("---\n? [a]\n: 4\n---\n", "line 2: a key must be a name"),
        ("---\nmax_turns: \x07\n---\n", "line 2: the character '\\x07' may not stand"),
        ("---\nmax_turns: " + "9" * 5000 + "\n---\n", "line 2: is no number that can be read"),
        ("---\nmax_turns:\n  " + "[" * 20_000 + "\n---\n", "line 3: is nested too deeply"),
        (b"---\nmax_turns: 3\n---\nna\xefve\n", "line 4: is not UTF-8"),
        (b"x" * (MAX_BYTES + 1), f"line 1: the file is larger than {MAX_BYTES} bytes"),
    ],
)
def test_a_fault_is_told_with_its_line(text: str | bytes, told: str) -> None:
    assert faults(text).startswith(told)


def test_several_faults_are_told_at_once_and_in_their_order() -> None:
    told = faults("---\nmax_turns: 0\nfoo: 1\ntimeout_seconds: a\n---\n")
    assert [part.split(":")[0] for part in told.split("; ")] == ["line 2", "line 3", "line 4"]


@given(st.binary(max_size=200) | st.text("-:[]{}&*!|>'\"\n \t#a1,?", max_size=80).map(str.encode))
def test_any_file_is_read_or_refused(content: bytes) -> None:
    for text in (content, b"---\n" + content + b"\n---\n"):
        with contextlib.suppress(WorkflowFileError):
            parse(PATH, text)


def test_what_a_file_may_set_is_bounded_as_the_operators_settings_are() -> None:
    config = json.loads(schema_path("config.schema.json").read_text(encoding="utf-8"))
    operators = config["properties"]["claude_flow"]["properties"]
    for name, spec in schema()["properties"].items():
        if name in operators:
            assert _bounds(spec) == _bounds(operators[name]), name


def _bounds(spec: dict[str, Any]) -> dict[str, Any]:
    return {name: spec.get(name) for name in ("minimum", "exclusiveMinimum", "maximum")}
