"""A running agent's own budgets: the tightest one bounds it, and it ends where one is used up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from claude_flow.model.budgets import ATTEMPT_SETTING, Budget
from claude_flow.model.events import Happening, SessionStarted, Text, ToolUse
from claude_flow.model.failures import FailureKind, ModelFailure
from claude_flow.model.run import Reason
from claude_flow.ports import AgentOutput, ProcessEnded, Progress, Stop, Verdict

# A bound for the agent itself has to be more than nothing.
_LEAST_USD = 0.0001
_WORK = SessionStarted | Text | ToolUse
# Decided before the money was looked at.
_OTHER_STOPS = {Stop.TIMED_OUT, Stop.STALLED, Stop.OUT_OF_MEMORY}


@dataclass(frozen=True, slots=True)
class Allowance:
    """The budgets of one execution of an agent, as they stand at its start."""

    budgets: tuple[Budget, ...] = ()

    @classmethod
    def of(
        cls, attempt_usd: float | None, others: Sequence[Budget], *, used_usd: float
    ) -> Allowance:
        """The attempt's own and others, of which the attempt has already used so much."""
        own = () if attempt_usd is None else (Budget(ATTEMPT_SETTING, attempt_usd, 0.0),)
        return cls(tuple(budget.after(used_usd) for budget in (*own, *others)))

    @property
    def tightest(self) -> Budget | None:
        """The one of which the least is left."""
        return min(self.budgets, key=lambda budget: budget.left_usd, default=None)

    @property
    def limit_usd(self) -> float | None:
        """What the agent may spend; None for no bound."""
        tightest = self.tightest
        return None if tightest is None else max(tightest.left_usd, _LEAST_USD)

    def spent(self, cost_usd: float | None) -> Budget | None:
        """The one that is used up once the agent has spent so much, if any."""
        if not cost_usd or self.tightest is None:
            return None
        after = self.tightest.after(cost_usd)
        return after if after.is_spent else None


class BudgetedOutput:
    """Implements ``ports.AgentOutput`` over another: who has spent all does not go on.

    An agent tells what it cost when it has done something. So one that told too much is stopped
    only when it begins something else: what it has just done may have been all.
    """

    def __init__(self, output: AgentOutput, allowance: Allowance) -> None:
        self._output = output
        self._allowance = allowance
        self._exceeded: Budget | None = None

    def feed(self, line: str) -> Sequence[Happening]:
        """Take the next line; what it tells."""
        spent = self._spent
        told = self._output.feed(line)
        if self._exceeded is None and any(isinstance(one, _WORK) for one in told):
            self._exceeded = spent
        return told

    @property
    def progress(self) -> Progress:
        """As far as read."""
        return self._output.progress

    @property
    def fatal(self) -> str | None:
        """Another's reason, or which budget was used up when the agent went on."""
        return self._output.fatal or (self._exceeded.why if self._exceeded else None)

    @property
    def _spent(self) -> Budget | None:
        return self._allowance.spent(self._output.progress.usage.cost_usd)

    def verdict(self, ended: ProcessEnded) -> Verdict:
        """The other's judgement; one that was not done for want of money says which budget."""
        verdict = self._output.verdict(ended)
        if verdict.reason is Reason.BUDGET_EXCEEDED:
            return replace(verdict, detail=self._bound() or verdict.detail)
        has_other_reason = self._output.fatal is not None or ended.stopped in _OTHER_STOPS
        if verdict.reason is None or has_other_reason or self._exceeded is None:
            return verdict
        return replace(
            verdict,
            reason=Reason.BUDGET_EXCEEDED,
            detail=f"the agent was stopped: {self._exceeded.why}",
            failure=ModelFailure(FailureKind.BUDGET),
        )

    def _bound(self) -> str | None:
        """The agent kept to its bound by itself, which was what is left of another budget."""
        tightest = self._allowance.tightest
        if tightest is None or tightest.setting == ATTEMPT_SETTING:
            return None
        return (
            f"the agent used up what was left of the budget {tightest.setting}: "
            f"{tightest.left_usd:.2f} of {tightest.limit_usd:.2f} USD"
        )
