"""Runs that the operator of this host asks for."""

from __future__ import annotations

from datetime import datetime

from claude_flow.errors import UsageError
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Run, Trigger, TriggerKind
from claude_flow.ports import Engine


def submit_for_operator(engine: Engine, ref: IssueRef, *, key: str, at: datetime) -> Run:
    """Ask for a run on the issue; ``key`` names the request.

    Raises UsageError if the issue is worked on already, EngineError.
    """
    run = Run.queued(ref, Trigger(TriggerKind.CLI, key, None, at), at)
    if not engine.submit(run):
        raise UsageError(
            f"{ref} is being worked on already",
            hint="claude-flowctl runs list shows its run; wait for it or cancel it",
        )
    return run
