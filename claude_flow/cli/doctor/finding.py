"""What a check found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from claude_flow.errors import ClaudeFlowError


class Grade(StrEnum):
    """How a check ended; a warning does not fail the whole."""

    FINE = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it."""

    check: str
    grade: Grade
    text: str
    hint: str | None = None


def told(check: str, look: Callable[[], Iterable[Finding]]) -> Iterable[Finding]:
    """The findings, or the error that the look met as one."""
    try:
        return list(look())
    except ClaudeFlowError as error:
        return [Finding(check, Grade.FAIL, error.message, error.hint)]
