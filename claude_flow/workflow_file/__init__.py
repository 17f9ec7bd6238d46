"""A repository's own workflow file: YAML front matter, and a template for the prompt."""

from claude_flow.workflow_file.document import MAX_BYTES, Document, parse
from claude_flow.workflow_file.faults import Fault, invalid
from claude_flow.workflow_file.plan import (
    Hooks,
    Numbers,
    OnFailure,
    Operator,
    Plan,
    Template,
    Verify,
    make_plan,
)

__all__ = [
    "MAX_BYTES",
    "Document",
    "Fault",
    "Hooks",
    "Numbers",
    "OnFailure",
    "Operator",
    "Plan",
    "Template",
    "Verify",
    "invalid",
    "make_plan",
    "parse",
]
