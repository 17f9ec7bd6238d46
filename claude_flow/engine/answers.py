"""What is kept of a step: its answer, or the error of this package that it raised, as JSON."""

from __future__ import annotations

import json
from typing import Any

from claude_flow import errors
from claude_flow.errors import ClaudeFlowError, RateLimitedError

Kept = dict[str, Any]
"""``{"answer": …}`` or ``{"error": {"type", "message", "hint", …}}``."""


def keep_answer(name: str, answer: Any) -> Kept:
    """The answer of step ``name`` as a resume will see it. Raises TypeError if it is no JSON."""
    try:
        return {"answer": json.loads(json.dumps(answer))}
    except (TypeError, ValueError) as error:
        raise TypeError(f"the answer of step {name!r} is not JSON: {error}") from error


def keep_error(error: ClaudeFlowError) -> Kept:
    """The error, as far as ``errors.py`` knows its class."""
    known = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    kept = {"type": known.__name__, "message": error.message, "hint": error.hint}
    if isinstance(error, RateLimitedError):
        return {"error": {**kept, "retry_after_seconds": error.retry_after_seconds}}
    return {"error": kept}


def recall(kept: Kept) -> Any:
    """The answer; or raises the error that was kept."""
    if "error" not in kept:
        return kept["answer"]
    data = dict(kept["error"])
    kind: type[ClaudeFlowError] = getattr(errors, data.pop("type"), ClaudeFlowError)
    raise kind(data.pop("message"), **data)
