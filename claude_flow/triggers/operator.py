"""Runs that the operator of this host asks for."""

from __future__ import annotations

from datetime import datetime

from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Run, Trigger, TriggerKind
from claude_flow.ports import Engine


def submit_for_operator(engine: Engine, ref: IssueRef, *, key: str, at: datetime) -> Run | None:
    """Ask for a run on the issue; ``key`` names the request.

    None if the issue is worked on already. Raises EngineError.
    """
    run = Run.queued(ref, Trigger(TriggerKind.CLI, key, None, at), at)
    return run if engine.submit(run) else None
