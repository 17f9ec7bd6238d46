"""What an attempt is told: the repository's workflow file, and the prompt made of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from claude_flow.errors import CommittedFileError
from claude_flow.model.issue import Issue, Repository
from claude_flow.model.run import Run
from claude_flow.ports import Comment, Gate, Workspace, Workspaces
from claude_flow.workflow import texts
from claude_flow.workflow.patience import Patience
from claude_flow.workflow.publisher import Target
from claude_flow.workflow_file import (
    MAX_BYTES,
    Fault,
    Operator,
    Plan,
    Template,
    invalid,
    make_plan,
    parse,
)

_LONGEST_COMMENT = 8_000

Render = Callable[[Template, Mapping[str, Any]], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Brief:
    """What holds for one attempt, and all that its prompts are made of."""

    plan: Plan
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """Reads what to do on the default branch only: neither an issue nor an agent writes there."""

    workspaces: Workspaces
    gate: Gate
    operator: Callable[[], Operator]
    render: Render
    patience: Patience

    async def brief(self, run: Run, issue: Issue, target: Target, workspace: Workspace) -> Brief:
        """What the attempt is to do. Raises WorkflowFileError, WorkspaceError or a GitHubError."""
        plan = await self.plan(target.repository, target.base_branch)
        comments = await self.patience.call(self.gate.trusted_comments, run.issue)
        return Brief(plan, variables(run, issue, comments, carries_on=workspace.carries_on))

    async def prompt(self, brief: Brief, feedback: str | None = None) -> str:
        """The agent's prompt; with ``feedback``, what it is to mend is in it as well.

        Raises WorkflowFileError for a mistake in the file's template.
        """
        variables = {**brief.variables, "feedback": feedback}
        template = brief.plan.template
        if template is None:
            return texts.prompt(variables)
        prompt = await self.render(template, variables)
        if feedback is None or "feedback" in template.text:
            return prompt
        return f"{prompt}\n\n---\n\n{texts.feedback(feedback)}"

    async def prompt_in_session(self, brief: Brief, feedback: str | None = None) -> str:
        """The prompt for a session that knows the task: what is new, in few words.

        A repository that says by itself how ``feedback`` is told is obeyed. Raises
        WorkflowFileError as ``prompt`` does.
        """
        if feedback is None:
            return texts.resumption(brief.variables)
        template = brief.plan.template
        if template is not None and "feedback" in template.text:
            return await self.prompt(brief, feedback)
        return texts.feedback(feedback)

    async def plan(self, repository: Repository, default_branch: str) -> Plan:
        """What holds for the repository now. Raises WorkflowFileError or WorkspaceError."""
        operator = self.operator()
        try:
            content = await self.workspaces.committed_file(
                repository, default_branch, operator.path, max_bytes=MAX_BYTES
            )
        except CommittedFileError as error:
            raise invalid(operator.path, [Fault(1, error.message)]) from error
        document = None if content is None else parse(operator.path, content)
        return make_plan(document, operator)


def variables(
    run: Run, issue: Issue, comments: Sequence[Comment], *, carries_on: bool
) -> dict[str, Any]:
    """What a template may name; docs/reference/workflow.md tells of each."""
    return {
        "issue": {
            "number": issue.ref.number,
            "title": issue.title,
            "body": issue.body,
            "labels": sorted(issue.labels),
            "author": issue.author,
            "url": issue.url,
        },
        "repository": str(issue.ref.repository),
        "comments": [
            {"author": one.author, "body": one.body[:_LONGEST_COMMENT]} for one in comments
        ],
        "attempt": {
            "number": run.attempt,
            "last_detail": run.detail if run.attempt > 1 else None,
            "carries_on": carries_on,
        },
        "feedback": None,
    }
