"""A run from its issue's text to its pull request, as durable steps."""

from claude_flow.workflow.attempt import AttemptRunner
from claude_flow.workflow.patience import Patience
from claude_flow.workflow.worker import Worker

__all__ = ["AttemptRunner", "Patience", "Worker"]
