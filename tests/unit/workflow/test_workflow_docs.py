"""What the pages about the workflow file say is so."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from claude_flow.model.run import Run, Trigger, TriggerKind
from claude_flow.ports import Comment
from claude_flow.workflow.briefing import variables
from claude_flow.workflow_file import make_plan, parse
from claude_flow.workflow_file.rendering import render
from tests.unit.workflow.attempt_scene import OPERATOR
from tests.unit.workflow.test_texts import REF, issue

DOCS = Path(__file__).parents[3] / "docs"


def told() -> dict[str, object]:
    run = Run.queued(REF, Trigger(TriggerKind.LABEL, "1"), datetime(2026, 1, 31, tzinfo=UTC))
    comment = Comment(1, "maria", "Only in Spanish.", "")
    return dict(variables(run, issue(), [comment], carries_on=False))


def test_the_example_is_a_workflow_file() -> None:
    page = (DOCS / "how-to" / "workflow-file.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```markdown\n(.*?)```\n", page, re.DOTALL)
    plan = make_plan(parse(OPERATOR.path, example.encode()), OPERATOR)
    assert plan.numbers == replace(OPERATOR.numbers, max_turns=30)
    assert plan.verify.commands == ("make lint", "make test")
    assert plan.hooks.after_create is not None
    assert plan.template is not None
    first = render(plan.template.text, told())
    assert "Work on issue 7 of acme/widgets: Title" in first
    assert "maria adds: Only in Spanish." in first
    assert "Mend it:\n\nmake: ***" in render(
        plan.template.text, {**told(), "feedback": "make: *** [test] Error 2"}
    )


def test_the_reference_names_every_variable() -> None:
    page = (DOCS / "reference" / "workflow.md").read_text(encoding="utf-8")
    for name, value in told().items():
        for inner in value if isinstance(value, dict) else [None]:
            assert f"`{name}.{inner}`" in page if inner else f"`{name}`" in page
