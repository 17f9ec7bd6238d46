"""The gate before a pull request: commands that must pass, and rounds of the agent to mend it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from claude_flow.model.failures import FailureKind, ModelFailure
from claude_flow.model.run import Reason, Usage
from claude_flow.ports import AGENT_PART, AgentTask, ProcessEnded, Verdict
from claude_flow.workflow import texts
from claude_flow.workflow.commands import Commands, Failed
from claude_flow.workflow_file import OnFailure, Verify

_TOLD_IN_FULL = 4
_LONGEST_IN_SHORT = 1_200


@dataclass(frozen=True, slots=True)
class Round:
    """One time that the agent works, as ``part``; after the first on what the checks said.

    ``session_id`` is the session of the round before, ``used`` what the rounds before used.
    """

    part: str = AGENT_PART
    feedback: str | None = None
    session_id: str | None = None
    used: Usage | None = None

    def with_used(self, usage: Usage) -> Usage:
        """What was used up to now, if this round used so much."""
        return usage if self.used is None else self.used + usage


Ask = Callable[[Round], Awaitable[tuple[ProcessEnded, Verdict]]]
MayBegin = Callable[[Round], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Verified:
    """How the last round of the agent ended; ``failed`` are the checks that still fail.

    What all rounds used is in the verdict.
    """

    ended: ProcessEnded
    verdict: Verdict
    failed: tuple[Failed, ...] = ()

    @property
    def fails(self) -> str | None:
        """What fails, for a pull request; None if nothing does."""
        return _in_full(self.failed) if self.failed else None


async def in_rounds(
    ask: Ask, may_begin: MayBegin, commands: Commands, task: AgentTask, verify: Verify
) -> Verified:
    """The agent, the checks, and again with what they said, until they pass or it is enough."""
    round_, number = Round(), 1
    while True:
        ended, verdict = await ask(round_)
        verdict = replace(verdict, usage=round_.with_used(verdict.usage))
        failed = []
        if verdict.reason is None:
            failed = await _failed(commands, task, verify, number)
        if not failed or number > verify.rounds:
            break
        number += 1
        round_ = Round(
            f"{AGENT_PART}-{number}", _in_full(failed), verdict.session_id, verdict.usage
        )
        if not await may_begin(round_):
            break
    return Verified(ended, verdict, tuple(failed))


def judged(found: Verified, verify: Verify) -> Verdict:
    """The verdict on the whole: failed checks are a failure, unless a draft may show them."""
    if not found.failed or verify.on_failure is OnFailure.DRAFT:
        return found.verdict
    return replace(
        found.verdict,
        reason=Reason.AGENT_FAILED,
        detail=_in_short(found.failed),
        failure=ModelFailure(FailureKind.VERIFY),
    )


async def _failed(commands: Commands, task: AgentTask, verify: Verify, number: int) -> list[Failed]:
    """All commands that fail."""
    found = [
        await commands.run(
            task, f"verify-{number}-{index}", script, timeout_seconds=verify.timeout_seconds
        )
        for index, script in enumerate(verify.commands, 1)
    ]
    return [failed for failed in found if failed is not None]


def _in_full(failed: Sequence[Failed]) -> str:
    """What the first few said, and that the others failed."""
    told = [texts.failed_command(one.script, one.how, one.output) for one in failed[:_TOLD_IN_FULL]]
    told += [texts.failed_command(one.script, one.how) for one in failed[_TOLD_IN_FULL:]]
    return "\n\n".join(told)


def _in_short(failed: Sequence[Failed]) -> str:
    """The first with its last words, and how many more there are."""
    first, more = failed[0], len(failed) - 1
    told = texts.failed_command(first.script, first.how, first.output[-_LONGEST_IN_SHORT:])
    return f"{told}\n\nSo do {more} more." if more else told
