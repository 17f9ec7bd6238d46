from __future__ import annotations

import json

import pytest

from claude_flow.cli.output import clean, say_error, say_fields, say_json, say_table
from claude_flow.errors import ServiceError

_TOKEN = "ghp_" + "a1" * 18


def test_a_table_in_a_pipe_is_whole_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(("A", "B"), [("x" * 300, None), ("two\nlines \x1b[31m", 7)])
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.split() == ["A", "B"]
    assert second == "x" * 300 + "  -"
    assert third.split() == ["two", "lines", "[31m", "7"]
    assert first.index("B") == second.index("-") == third.index("7")


def test_an_empty_table_has_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(("A", "B"), [])
    assert capsys.readouterr().out == "A  B\n"


def test_fields_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    say_fields([("a", 1), ("longer", "x"), ("gone", None)])
    assert capsys.readouterr().out == "a:      1\nlonger: x\n"


@pytest.mark.parametrize("char", ["\x1b", "\x07", "\r", "\x9b", "\x7f"])
def test_a_strangers_text_cannot_steer_the_terminal(char: str) -> None:
    assert char not in clean(f"a{char}b\tc\nd")
    assert clean("a\tb\nc ü 漢") == "a\tb\nc ü 漢"


def test_no_output_holds_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"a": _TOKEN})
    say_error(ServiceError(f"refused {_TOKEN}", hint=f"not {_TOKEN}"))
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"a": "***"}
    assert shown.err == "claude-flowctl: refused ***\nhint: not ***\n"
