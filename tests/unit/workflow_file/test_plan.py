"""What a repository may change of what the operator decided."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from claude_flow.errors import WorkflowFileError
from claude_flow.workflow_file import Numbers, Operator, Plan, make_plan, parse

NUMBERS = Numbers(
    max_turns=50,
    budget_usd=None,
    timeout_seconds=3600,
    stall_timeout_seconds=300,
    max_attempts=3,
)
OPERATOR = Operator("flow.md", frozenset({"prompt"}), NUMBERS)


def plan(text: str, operator: Operator = OPERATOR) -> Plan:
    return make_plan(parse(operator.path, text.encode()), operator)


def test_without_a_file_all_is_as_the_operator_says() -> None:
    assert make_plan(None, OPERATOR) == Plan(NUMBERS)


def test_numbers_may_be_lowered() -> None:
    found = plan("---\nmax_turns: 20\nbudget_usd: 2.5\nmax_attempts: 3\n---\n")
    assert found.numbers == replace(NUMBERS, max_turns=20, budget_usd=2.5)


def test_a_number_that_is_raised_is_a_fault_unless_it_may_be() -> None:
    raised = "---\ntimeout_seconds: 10\nmax_turns: 51\n---\n"
    with pytest.raises(WorkflowFileError, match=r"flow\.md, line 3: max_turns: 51 is more than"):
        plan(raised)
    allowed = replace(OPERATOR, allowed=frozenset({"max_turns"}))
    assert plan(raised, allowed).numbers.max_turns == 51


def test_a_prompt_may_be_forbidden() -> None:
    text = "---\nmax_turns: 20\n---\nDo as I say.\n"
    template = plan(text).template
    assert template is not None
    assert (template.text, template.first_line) == ("Do as I say.\n", 4)
    with pytest.raises(WorkflowFileError, match=r"line 4: .* does not allow .* set prompt"):
        plan(text, replace(OPERATOR, allowed=frozenset()))


def test_tools_may_be_set_only_where_the_operator_allows_it() -> None:
    operator = replace(OPERATOR, allowed_tools=("Bash(git:*)",))
    assert make_plan(None, operator).allowed_tools == ("Bash(git:*)",)
    assert plan("Do it.", operator).allowed_tools == ("Bash(git:*)",)
    text = "---\nallowed_tools: ['Bash(make:*)', WebFetch]\n---\n"
    with pytest.raises(WorkflowFileError, match=r"line 2: .* does not allow .* set allowed_tools"):
        plan(text, operator)
    allowing = replace(operator, allowed=frozenset({"allowed_tools"}))
    assert plan(text, allowing).allowed_tools == ("Bash(make:*)", "WebFetch")


@pytest.mark.parametrize("rule", ["", "Bash(", "Bash()", "--dangerous", "Bash(a)\nWrite", 7])
def test_a_rule_is_a_tool_with_or_without_a_bound(rule: str | int) -> None:
    operator = replace(OPERATOR, allowed=frozenset({"allowed_tools"}))
    with pytest.raises(WorkflowFileError, match=r"line 2: allowed_tools\[0\]: "):
        plan(f"---\nallowed_tools: [{json.dumps(rule)}]\n---\n", operator)
