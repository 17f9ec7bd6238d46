"""What is wrong with a workflow file, and on which line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from claude_flow.errors import WorkflowFileError

_NAMED_FAULTS = 5
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; ``line`` counts from 1 in the whole file, ``what`` is a clause for people."""

    line: int
    what: str

    def __str__(self) -> str:
        what = " ".join(self.what.split())
        return f"line {self.line}: {what if len(what) <= _LONGEST else what[:_LONGEST] + '…'}"


class FaultyFileError(Exception):
    """Reading cannot go on after this fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def invalid(path: str, faults: Sequence[Fault]) -> WorkflowFileError:
    """The error that tells people all of it."""
    told = sorted(faults, key=lambda fault: fault.line)
    more = len(told) - _NAMED_FAULTS
    named = "; ".join(str(fault) for fault in told[:_NAMED_FAULTS])
    return WorkflowFileError(
        f"{path}, {named}{f'; and {more} more' if more > 0 else ''}",
        hint="mend it on the default branch, then ask again",
    )
