"""A run from its issue's text to its pull request, as durable steps."""

from claude_flow.workflow.attempt import AttemptRunner, WorkflowSettings
from claude_flow.workflow.patience import Patience

__all__ = ["AttemptRunner", "Patience", "WorkflowSettings"]
