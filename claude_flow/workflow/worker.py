"""The work itself: a prepared workspace, an agent in it, and a judgement of its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from claude_flow import journal
from claude_flow.errors import GitHubError, WorkflowFileError, WorkspaceError
from claude_flow.model.budgets import Budget
from claude_flow.model.issue import Issue
from claude_flow.model.run import Phase, Run, Usage
from claude_flow.model.transitions import carries_on
from claude_flow.ports import (
    AGENT_PART,
    Agent,
    AgentSession,
    AgentTask,
    Execution,
    GitHub,
    Limits,
    ProcessEnded,
    Progress,
    Verdict,
    Workspace,
    Workspaces,
)
from claude_flow.workflow import hooks, texts
from claude_flow.workflow.briefing import Brief, Briefing
from claude_flow.workflow.commands import Commands, scratch_of, task_of
from claude_flow.workflow.kept import Work
from claude_flow.workflow.patience import Patience
from claude_flow.workflow.publisher import Target
from claude_flow.workflow.removal import WorkspaceRemoval
from claude_flow.workflow.spending import Allowance, BudgetedOutput
from claude_flow.workflow.verify import Round, Verified, in_rounds, judged
from claude_flow.workflow_file import Numbers, Plan

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Takes an issue to what an agent made of it.

    Done again after a crash, it takes over an agent that still runs or has ended since; where
    there is none, it starts anew.
    """

    github: GitHub
    workspaces: Workspaces
    briefing: Briefing
    agent: Callable[[Numbers, tuple[str, ...]], Agent]
    budgets: Callable[[Run], Sequence[Budget]]
    execution: Execution
    commands: Commands
    removal: WorkspaceRemoval
    is_cancelled: Callable[[str], bool]
    runs_directory: Path
    patience: Patience
    redact: Callable[[str], str]
    on_progress: Callable[[str, Progress], None]

    async def work(self, run: Run, issue: Issue, enter: Callable[[Phase], Awaitable[None]]) -> Work:
        """Prepare a workspace and have the agent work in it; ``enter`` notes the phase.

        Raises WorkspaceError, WorkflowFileError, HookError, ExecutionError,
        AgentUnavailableError or a GitHubError that waiting does not mend.
        """
        target = await self._target(run)
        workspace = await self._begun(run)
        if workspace is None:
            await self.removal.run_hook(run, target, part=hooks.BEFORE_REMOVE_OLD)
            workspace = await self.patience.wait(
                lambda: self.workspaces.prepare(
                    run.id,
                    target.repository,
                    branch=target.branch,
                    start_from=target.start_from,
                    carry_on=carries_on(run),
                )
            )
        brief = await self.briefing.brief(run, issue, target, workspace)
        task = await self._task(run, workspace, brief)
        await enter(Phase.EXECUTING)
        with journal.run_context(phase=Phase.EXECUTING):
            found = await hooks.around(
                self.commands,
                task,
                brief.plan.hooks,
                lambda: self._in_rounds(run, task, brief),
                is_cancelled=lambda: asyncio.to_thread(self.is_cancelled, run.id),
            )
        verdict = judged(found, brief.plan.verify)
        return Work(
            target=target,
            workspace=workspace,
            ended_at=found.ended.ended_at,
            exit_code=found.ended.exit_code,
            reason=verdict.reason,
            usage=verdict.usage,
            detail=self.redact(verdict.detail) if verdict.detail else None,
            summary=self.redact(verdict.summary) if verdict.summary else None,
            failure=verdict.failure,
            session_id=verdict.session_id,
            max_attempts=brief.plan.numbers.max_attempts,
            fails=found.fails,
        )

    async def _begun(self, run: Run) -> Workspace | None:
        """The workspace that an earlier daemon started something of this attempt in, if any.

        Raises WorkspaceError, once nothing works in it any more, if there is no such workspace.
        """
        for part in (AGENT_PART, *hooks.FIRST_PARTS):
            if await self.execution.is_begun(run.id, run.attempt, part):
                break
        else:
            return None
        workspace = await self.workspaces.find(run.id)
        if workspace is None or not workspace.path.is_dir():
            await self.execution.end(run.id, run.attempt)
            raise WorkspaceError(
                f"the workspace of {run.id} is gone, so what worked in it was ended",
                hint="somebody deleted it, or what the service noted of it in "
                f"{self.runs_directory / run.id}",
            )
        return workspace

    async def max_attempts(self, run: Run) -> int | None:
        """How often the run is tried at most, as its repository says now; None if it cannot."""
        try:
            info = await self.patience.call(self.github.repository, run.issue.repository)
            plan = await self.briefing.plan(info.repository, info.default_branch)
        except (GitHubError, WorkflowFileError, WorkspaceError) as error:
            _log.warning("the workflow file says nothing of %s: %s", run.id, error)
            return None
        return plan.numbers.max_attempts

    async def _target(self, run: Run) -> Target:
        info = await self.patience.call(self.github.repository, run.issue.repository)
        branch = texts.branch(run.issue)
        known = await self.patience.call(self.github.find_pull_request, info.repository, branch)
        return Target(info.repository, info.default_branch, branch, is_update=known is not None)

    async def _task(self, run: Run, workspace: Workspace, brief: Brief) -> AgentTask:
        return replace(
            task_of(run, workspace, self.runs_directory),
            prompt=await self.briefing.prompt(brief),
            resume=await self._session(run, brief) if workspace.carries_on else None,
        )

    async def _session(self, run: Run, brief: Brief) -> AgentSession | None:
        """The session of the attempt before, which remembers the work that is carried on."""
        earlier = run.attempts[-2]
        if earlier.session_id is None:
            return None
        scratch = scratch_of(run, earlier.number, self.runs_directory)
        prompt = await self.briefing.prompt_in_session(brief)
        return AgentSession(earlier.session_id, scratch, prompt)

    async def _in_rounds(self, run: Run, task: AgentTask, brief: Brief) -> Verified:
        async def ask(round_: Round) -> tuple[ProcessEnded, Verdict]:
            if round_.feedback is None:
                return await self._execute(run, task, brief.plan, round_)
            again = replace(
                task,
                part=round_.part,
                prompt=await self.briefing.prompt(brief, round_.feedback),
                resume=None,
            )
            if round_.session_id is not None:
                told = await self.briefing.prompt_in_session(brief, round_.feedback)
                session = AgentSession(round_.session_id, task.scratch, told)
                again = replace(again, resume=session)
            return await self._execute(run, again, brief.plan, round_)

        async def may_begin(round_: Round) -> bool:
            if await self.execution.is_begun(task.run_id, task.attempt, round_.part):
                return True
            allowance = await self._allowance(run, brief.plan.numbers, round_)
            if allowance.tightest is None or not allowance.tightest.is_spent:
                return True
            _log.warning("what fails is not mended: %s", allowance.tightest.why)
            return False

        return await in_rounds(ask, may_begin, self.commands, task, brief.plan.verify)

    async def _allowance(self, run: Run, numbers: Numbers, round_: Round) -> Allowance:
        return Allowance.of(
            numbers.budget_usd,
            await asyncio.to_thread(self.budgets, run),
            used_usd=round_.with_used(Usage()).cost_usd or 0.0,
        )

    async def _execute(
        self, run: Run, task: AgentTask, plan: Plan, round_: Round
    ) -> tuple[ProcessEnded, Verdict]:
        def tell(progress: Progress) -> None:
            self.on_progress(task.run_id, replace(progress, usage=round_.with_used(progress.usage)))

        numbers = plan.numbers
        allowance = await self._allowance(run, numbers, round_)
        within = replace(numbers, budget_usd=allowance.limit_usd)
        agent = self.agent(within, plan.allowed_tools)
        output = BudgetedOutput(agent.output(), allowance)
        ended = await self.execution.run(
            task,
            await asyncio.to_thread(agent.command, task),
            Limits(numbers.timeout_seconds, numbers.stall_timeout_seconds),
            output,
            tell,
        )
        verdict = output.verdict(ended)
        _log.info("the agent ended: exit code %d, %s", ended.exit_code, verdict.reason or "ok")
        return ended, verdict
