"""What the steps of an attempt keep, as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from claude_flow.model.failures import FailureKind, ModelFailure
from claude_flow.model.issue import Issue, IssueRef, Repository
from claude_flow.model.run import Reason, Usage, from_rfc3339, to_rfc3339
from claude_flow.ports import Refusal, Workspace
from claude_flow.workflow.publisher import Published, Target


@dataclass(frozen=True, slots=True)
class Work:
    """What an agent left: ``reason`` is None if its own words mean success."""

    target: Target
    workspace: Workspace
    ended_at: datetime
    exit_code: int
    reason: Reason | None
    usage: Usage
    detail: str | None
    summary: str | None
    failure: ModelFailure | None = None
    session_id: str | None = None
    max_attempts: int | None = None
    """How often the run is tried at most, None where that is not said."""
    fails: str | None = None
    """Which checks do not pass, if the change is to be published nevertheless."""


def admission_to_json(found: Issue | Refusal) -> dict[str, Any]:
    """The judged issue, or why it is refused."""
    if isinstance(found, Refusal):
        return {"refused": found.reason, "why": found.why}
    return {
        "title": found.title,
        "body": found.body,
        "labels": sorted(found.labels),
        "author": found.author,
        "created_at": to_rfc3339(found.created_at),
        "updated_at": to_rfc3339(found.updated_at),
        "url": found.url,
    }


def admission(ref: IssueRef, data: Mapping[str, Any]) -> Issue | Refusal:
    """What ``admission_to_json`` kept."""
    if "refused" in data:
        return Refusal(Reason(data["refused"]), data["why"])
    return Issue(
        ref=ref,
        title=data["title"],
        body=data["body"],
        labels=frozenset(data["labels"]),
        author=data["author"],
        is_open=True,
        is_pull_request=False,
        created_at=_moment(data["created_at"]),
        updated_at=_moment(data["updated_at"]),
        url=data["url"],
    )


def work_to_json(work: Work) -> dict[str, Any]:
    """The agent's end and where its work lies."""
    return {
        "repository": str(work.target.repository),
        "base_branch": work.target.base_branch,
        "branch": work.target.branch,
        "is_update": work.target.is_update,
        "run_id": work.workspace.run_id,
        "path": str(work.workspace.path),
        "base": work.workspace.base,
        "published": work.workspace.published,
        "ended_at": to_rfc3339(work.ended_at),
        "exit_code": work.exit_code,
        "reason": work.reason,
        **work.usage.to_json(),
        "model": work.usage.model,
        "detail": work.detail,
        "summary": work.summary,
        "failure": _failure_to_json(work.failure),
        "session_id": work.session_id,
        "max_attempts": work.max_attempts,
        "fails": work.fails,
    }


def work_from_json(data: Mapping[str, Any]) -> Work:
    """What ``work_to_json`` kept."""
    return Work(
        target=Target(
            Repository.parse(data["repository"]),
            data["base_branch"],
            data["branch"],
            is_update=data["is_update"],
        ),
        workspace=Workspace(data["run_id"], Path(data["path"]), data["base"], data["published"]),
        ended_at=_moment(data["ended_at"]),
        exit_code=data["exit_code"],
        reason=Reason(data["reason"]) if data["reason"] else None,
        usage=Usage(data["turns"], data["tokens"], data["cost_usd"], data.get("model")),
        detail=data["detail"],
        summary=data["summary"],
        # An earlier release kept none of these.
        failure=_failure_from_json(data.get("failure")),
        session_id=data.get("session_id"),
        max_attempts=data.get("max_attempts"),
        fails=data.get("fails"),
    )


def _failure_to_json(failure: ModelFailure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {
        "kind": failure.kind,
        "status": failure.status,
        "resets_at": to_rfc3339(failure.resets_at),
    }


def _failure_from_json(data: Mapping[str, Any] | None) -> ModelFailure | None:
    if data is None:
        return None
    return ModelFailure(FailureKind(data["kind"]), data["status"], from_rfc3339(data["resets_at"]))


def published_to_json(published: Published) -> dict[str, Any]:
    """What came of publishing."""
    return {
        "reason": published.reason,
        "pull_request": published.pull_request,
        "detail": published.detail,
    }


def published_from_json(data: Mapping[str, Any]) -> Published:
    """What ``published_to_json`` kept."""
    return Published(Reason(data["reason"]), data["pull_request"], data["detail"])


def _moment(text: str) -> datetime:
    moment = from_rfc3339(text)
    if moment is None:
        raise ValueError("a kept moment is missing")
    return moment
