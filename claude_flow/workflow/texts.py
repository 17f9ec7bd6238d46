"""What people and agents read: the prompt, the status comment, the pull request, the commit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from claude_flow.model.failures import FailureKind
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Reason, Run

COMMENT_MARKER = "<!-- claude-flow:status -->"
_LONGEST_TITLE = 200  # GitHub takes 256
_LONGEST_SUMMARY = 20_000  # GitHub takes 65,536 in all
_LONGEST_DETAIL = 2_000
_LONGEST_COMMAND = 120

# Markdown for people: nothing here is HTML, and GitHub sanitises what it renders.
_templates = ImmutableSandboxedEnvironment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,
)

_HEADLINES = {
    Reason.PULL_REQUEST_OPENED: "A pull request is open: {pull_request}",
    Reason.PULL_REQUEST_UPDATED: "The pull request is updated: {pull_request}",
    Reason.NO_CHANGES: "The agent ended without changing anything.",
    Reason.AGENT_FAILED: "The agent failed.",
    Reason.PERMISSION_DENIED: "The agent was denied a tool that it needed.",
    Reason.TIMED_OUT: "The agent ran out of time.",
    Reason.STALLED: "The agent fell silent and was ended.",
    Reason.BUDGET_EXCEEDED: "The agent used up its budget.",
    Reason.PUBLISH_REJECTED: "The change was made, but it could not be published.",
    Reason.UNTRUSTED: "This issue is not worked on.",
    Reason.ISSUE_CLOSED: "The issue was closed; the work on it has ended.",
    Reason.CANCELLED_BY_USER: "The run was cancelled.",
    Reason.ATTEMPTS_EXHAUSTED: "No attempt succeeded.",
}
_HEADLINES_OF_FAILURES: dict[FailureKind | None, str] = {
    FailureKind.WORKFLOW_FILE: "The repository's workflow file cannot be used.",
    FailureKind.VERIFY: "The change was made, but the repository's checks do not pass.",
}
_WAITS = {
    FailureKind.USAGE_LIMIT: "waits for the model's usage limit",
    FailureKind.OVERLOADED: "waits because the model's API is in trouble",
    FailureKind.UNREACHABLE: "waits because the model's API does not answer",
}
_ENDED_WELL = frozenset({Reason.PULL_REQUEST_OPENED, Reason.PULL_REQUEST_UPDATED})


def branch(ref: IssueRef) -> str:
    """The branch of all runs on an issue."""
    return f"claude-flow/issue-{ref.number}"


def prompt(variables: Mapping[str, Any]) -> str:
    """What the agent is asked to do, where the repository does not say it itself."""
    return _templates.get_template("prompt.md.j2").render(variables)


def resumption(variables: Mapping[str, Any]) -> str:
    """What an agent is told in the session of the attempt before, which was cut short."""
    return _templates.get_template("resume.md.j2").render(variables)


def feedback(fails: str) -> str:
    """What an agent is told after its checks failed, where its prompt does not say it."""
    return _templates.get_template("feedback.md.j2").render(feedback=fails)


def failed_command(script: str, how: str, output: str | None = None) -> str:
    """A command that failed; with its output, a block of what it said last."""
    name = _one_line(script, _LONGEST_COMMAND).replace("`", "'")
    told = f"`{name}` {how}"
    if output is None:
        return told
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", output)), default=0))
    return f"{told}:\n\n{fence}\n{output.strip() or '(it said nothing)'}\n{fence}"


def working_comment(run: Run) -> str:
    """The status comment while an attempt goes on."""
    return _comment(run, "An agent is working on this issue.", state="running")


def waiting_comment(run: Run, begins_at: datetime, waits_for: FailureKind | None) -> str:
    """The status comment between two attempts; the run's detail says how the last one ended."""
    headline = (
        f"Attempt {run.attempt} did not succeed; the next begins at {_utc(begins_at)}."
        if waits_for is None
        else f"{model_wait(waits_for, begins_at)}. Nobody has to do anything."
    )
    return _comment(run, headline, state="waiting", detail=run.detail)


def model_wait(waits_for: FailureKind, begins_at: datetime) -> str:
    """What a run waits for until its next attempt begins, one sentence without its full stop."""
    return f"The run {_WAITS[waits_for]} until {_utc(begins_at)}"


def ended_comment(
    run: Run, reason: Reason, *, detail: str | None, pull_request: str | None, label: str
) -> str:
    """The status comment of a run that ended for ``reason``."""
    state = str(reason).replace("_", " ")
    if reason is Reason.ATTEMPTS_EXHAUSTED and run.attempts and run.attempts[-1].reason:
        state = f"{state} ({str(run.attempts[-1].reason).replace('_', ' ')})"
    advice = None if reason in _ENDED_WELL else f"Put the label `{label}` back for another run."
    failure = run.attempts[-1].failure if run.attempts else None
    return _comment(
        run,
        _HEADLINES_OF_FAILURES.get(failure) or _HEADLINES[reason].format(pull_request=pull_request),
        state=state,
        detail=detail,
        advice=advice,
    )


def pull_request_title(title: str) -> str:
    """The issue's title in one line."""
    return _without_effect(_one_line(title, _LONGEST_TITLE)) or "Work on the issue"


def pull_request_body(
    run: Run, *, summary: str | None, agent: str, files: int, fails: str | None = None
) -> str:
    """The pull request's text; ``Closes #n`` links it to the issue.

    ``fails`` tells of checks that do not pass.
    """
    return _templates.get_template("pull_request.md.j2").render(
        run=run,
        summary=_quiet(_shortened((summary or "").strip(), _LONGEST_SUMMARY)),
        agent=agent,
        files=files,
        fails=_quiet(fails) if fails else None,
    )


def commit_message(title: str, run: Run) -> str:
    """The message of the commit that holds what an agent left uncommitted."""
    subject = _without_effect(_one_line(title, 72)) or f"Work on {run.issue}"
    return f"{subject}\n\nIssue: {run.issue}\nClaude-Flow-Run: {run.id}\n"


def _comment(
    run: Run,
    headline: str,
    *,
    state: str,
    detail: str | None = None,
    advice: str | None = None,
) -> str:
    return _templates.get_template("comment.md.j2").render(
        marker=COMMENT_MARKER,
        run=run,
        headline=headline,
        state=state,
        detail=_quiet(_shortened(detail, _LONGEST_DETAIL)) if detail else None,
        advice=advice,
    )


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _one_line(text: str, longest: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[:longest].rstrip() + "\n\n(shortened)"


# Anywhere GitHub sees one of these before a reference, merging closes that issue: #7, GH-7,
# owner/name#7 and whole addresses alike.
_CLOSING = re.compile(r"(?i)\b(clos|fix|resolv)(e[sd]?|)\b(?=:?\s+\S*?(?:#|GH-|/issues/|/pull/)\d)")
_MENTION = re.compile(r"(?<!\w)@(?=[A-Za-z0-9])")


def _quiet(text: str) -> str:
    """An agent's words without effect on others, and without a marker like ours."""
    return _without_effect(text).replace("<!--", "&lt;!--")


def _without_effect(text: str) -> str:
    """A text by which no mention rings and no issue is closed.

    A zero-width space behind the sign, or in the word, keeps GitHub from reading it; what is
    referred to stays a link.
    """
    text = _MENTION.sub("@\u200b", text)
    return _CLOSING.sub("\\1\u200b\\2", text)
