"""Templates are filled in strictly, and a mistake or worse in one harms nobody."""

from __future__ import annotations

from typing import Any

import pytest

from claude_flow.errors import WorkflowFileError
from claude_flow.execution.processes import ProcessRunner
from claude_flow.workflow_file import Template
from claude_flow.workflow_file.renderer import Renderer
from claude_flow.workflow_file.rendering import MAX_CHARACTERS, Mistake, render

VARIABLES: dict[str, Any] = {
    "issue": {"number": 7, "title": "Greet", "body": "{{ 7 * 7 }} \ud800 ünï"},
    "comments": [{"author": "maria", "body": "Please."}],
    "feedback": None,
}
ENDLESS = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}"
)
HUGE = "{% set ns = namespace(x='xxxxxxxx') %}{% for a in range(40) %}{% set ns.x = ns.x ~ ns.x %}"


def test_what_was_written_by_others_is_never_a_template() -> None:
    assert render("{{ issue.body }}", VARIABLES).startswith("{{ 7 * 7 }}")


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a\n\n{{ isue.title }}", 3, "there is no variable isue; did you mean issue?"),
        ("{{ nonsense }}", 1, "there is no variable nonsense; there are comments, feedback, issue"),
        ("a\n{{ issue.titel }}", 2, "has no attribute 'titel'"),
        ("a\n{{ issue.title | foo }}", 2, "No filter named 'foo'"),
        ("a\n{% if issue %}\n", 2, "Unexpected end of template"),
        ("a\n{% for %}", 2, "Expected an expression"),
        ("a\n{% include 'x' %}", 2, "may not include others"),
        ("a\n{{ ().__class__.__bases__ }}", 2, "unsafe"),
        ("a\n{{ issue.update(x=1) }}", 2, "unsafe"),
        ("a\n{{ 1 / 0 }}", 2, "division by zero"),
        ("a\n{{ issue.title + 1 }}", 2, "can only concatenate"),
        ("{% for i in range(99999) %}xxxxxxxxxx{% endfor %}", 1, f"more than {MAX_CHARACTERS}"),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", 1, "nested too deeply"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", 1, "nested too deeply"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, line: int, told: str) -> None:
    with pytest.raises(Mistake) as caught:
        render(text, VARIABLES)
    assert told in caught.value.what
    assert caught.value.line == line


async def rendered(text: str) -> str:
    template = Template("flow.md", text, first_line=10)
    return await Renderer(ProcessRunner()).render(template, VARIABLES)


async def test_a_process_of_its_own_renders() -> None:
    assert await rendered("{{ issue.title }}:\n{{ issue.body }}") == (
        "Greet:\n{{ 7 * 7 }} \ud800 ünï"
    )


async def test_lines_count_from_the_files_beginning() -> None:
    with pytest.raises(
        WorkflowFileError, match=r"^flow\.md, line 12: in the template: there is no"
    ):
        await rendered("a\n\n{{ isue }}")


@pytest.mark.parametrize("text", [ENDLESS, HUGE + "{% endfor %}", "{{ 'x' * 9999999999 }}"])
async def test_what_takes_too_long_or_too_much_is_ended(text: str) -> None:
    with pytest.raises(WorkflowFileError, match=r"^flow\.md, line 10: in the template: takes too"):
        await rendered(text)
