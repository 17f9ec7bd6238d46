from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.testing.plan import PlanError, Replace, Write, edits_in

LINES = st.text(
    st.characters(codec="utf-8", exclude_characters="`\r", exclude_categories=["Cc", "Cs"])
)
PATHS = st.from_regex(r"[a-z]{1,8}(/[a-z_]{1,8}){0,2}\.py", fullmatch=True)


@given(PATHS, st.lists(LINES, min_size=1))
def test_a_written_block_comes_back_word_for_word(path: str, lines: list[str]) -> None:
    text = "\n".join(lines)
    issue = f"Please:\n\nWrite `{path}`:\n\n```python\n{text}\n```\n\nThank you."
    assert edits_in(issue) == [Write(path, text + "\n")]


@given(st.text())
def test_any_text_is_read_without_fail(text: str) -> None:
    for edit in edits_in(text):
        assert edit.path


def test_edits_keep_the_issue_s_order() -> None:
    issue = (
        "In `a.py` replace `x = 1` with `x = 2`.\r\n\r\n"
        "In `a.py` after `import re` add:\r\n\r\n```\r\nimport sys\r\n```\r\n"
        "Write `b.py`:\r\n```python\r\ny\r\n```\r\n"
    )
    assert edits_in(issue) == [
        Replace("a.py", "x = 1", "x = 2"),
        Replace("a.py", "import re", "import re\nimport sys"),
        Write("b.py", "y\n"),
    ]


def test_what_is_said_twice_is_meant_once() -> None:
    wish = "In `a.py` replace `x = 1` with `x = 2`.\n"
    assert edits_in(wish + "Again:\n" + wish) == [Replace("a.py", "x = 1", "x = 2")]


def test_edits_change_files(tmp_path: Path) -> None:
    Write("pkg/a.py", "x = 1\nx = 1\n").apply(tmp_path)
    Replace("pkg/a.py", "x = 1", "x = 2").apply(tmp_path)
    assert (tmp_path / "pkg" / "a.py").read_text() == "x = 2\nx = 1\n"


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", ".git/config"])
def test_an_edit_stays_in_the_workspace(tmp_path: Path, path: str) -> None:
    with pytest.raises(PlanError, match="not a path inside"):
        Write(path, "x").apply(tmp_path)


def test_what_is_not_there_cannot_be_replaced(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"a\.py does not hold 'x'"):
        Replace("a.py", "x", "y").apply(tmp_path)
