"""Runs and attempts: the words of the HTTP API, the CLI and the store."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import reduce
from typing import Any, Self, TypeVar

from claude_flow.model.failures import FailureKind
from claude_flow.model.issue import IssueRef

_Number = TypeVar("_Number", int, float)


class RunState(StrEnum):
    """Where a run stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to a run in this state."""
        return self not in {RunState.QUEUED, RunState.RUNNING}


class Phase(StrEnum):
    """What a running run is doing."""

    PREPARING = "preparing"
    EXECUTING = "executing"
    PUBLISHING = "publishing"


class Reason(StrEnum):
    """Why a run, or one attempt of it, ended."""

    PULL_REQUEST_OPENED = "pull_request_opened"
    PULL_REQUEST_UPDATED = "pull_request_updated"
    NO_CHANGES = "no_changes"
    AGENT_FAILED = "agent_failed"
    PERMISSION_DENIED = "permission_denied"
    TIMED_OUT = "timed_out"
    STALLED = "stalled"
    BUDGET_EXCEEDED = "budget_exceeded"
    PUBLISH_REJECTED = "publish_rejected"
    UNTRUSTED = "untrusted"
    ISSUE_CLOSED = "issue_closed"
    CANCELLED_BY_USER = "cancelled_by_user"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"


class TriggerKind(StrEnum):
    """What asked for a run."""

    LABEL = "label"
    COMMAND = "command"
    CLI = "cli"


@dataclass(frozen=True, slots=True)
class Trigger:
    """One request for work.

    ``key`` tells requests of one kind on one issue apart: the label event's number, the
    comment's, a random text for the CLI. The same key never makes a second run. ``actor`` is
    the GitHub login that asked, None where nobody on GitHub did (the CLI); ``at`` is when.
    """

    kind: TriggerKind
    key: str
    actor: str | None = None
    at: datetime | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.key}"


@dataclass(frozen=True, slots=True)
class Usage:
    """What an agent said it used; None where it did not say. Tokens count input and output.

    ``model`` is the one that did most of it, None also for a sum over several.
    """

    turns: int | None = None
    tokens: int | None = None
    cost_usd: float | None = None
    model: str | None = None

    def __add__(self, other: Usage) -> Usage:
        """Both together; what only one of them tells is taken from that one."""
        return Usage(
            turns=_sum(self.turns, other.turns),
            tokens=_sum(self.tokens, other.tokens),
            cost_usd=_sum(self.cost_usd, other.cost_usd),
            model=self.model if self.model == other.model else None,
        )

    def to_json(self) -> dict[str, Any]:
        """The numbers by their names in the contract."""
        return {"turns": self.turns, "tokens": self.tokens, "cost_usd": self.cost_usd}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a run. ``number`` counts from 1; ``reason`` is None while it goes on.

    ``failure`` says what stood in the agent's way where more is known than the reason,
    ``session_id`` names the agent's session, if it has one that can be gone on with.
    """

    number: int
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: Reason | None = None
    exit_code: int | None = None
    usage: Usage = field(default_factory=Usage)
    failure: FailureKind | None = None
    session_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The attempt as the contract's JSON."""
        return {
            "attempt": self.number,
            "reason": self.reason,
            "failure": self.failure,
            "started_at": to_rfc3339(self.started_at),
            "ended_at": to_rfc3339(self.ended_at),
            "exit_code": self.exit_code,
            **self.usage.to_json(),
            "model": self.usage.model,
            "session_id": self.session_id,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The attempt that ``to_json`` wrote."""
        return cls(
            number=data["attempt"],
            started_at=from_rfc3339(data["started_at"]),
            ended_at=from_rfc3339(data["ended_at"]),
            reason=Reason(data["reason"]) if data["reason"] else None,
            exit_code=data["exit_code"],
            # Earlier releases did not note what is got here.
            usage=Usage(data["turns"], data["tokens"], data["cost_usd"], data.get("model")),
            failure=FailureKind(data["failure"]) if data.get("failure") else None,
            session_id=data.get("session_id"),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One piece of work asked for on one issue.

    ``reason`` is set once the state is final. ``detail`` is one line for people about how it
    stands, without secrets; None where the reason says all.
    """

    id: str
    issue: IssueRef
    trigger: Trigger
    created_at: datetime
    state: RunState = RunState.QUEUED
    phase: Phase | None = None
    reason: Reason | None = None
    detail: str | None = None
    attempts: tuple[Attempt, ...] = ()
    pull_request: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @classmethod
    def queued(cls, issue: IssueRef, trigger: Trigger, created_at: datetime) -> Self:
        """A new run; the same issue and trigger always give the same id."""
        return cls(run_id(issue, trigger), issue, trigger, created_at)

    @property
    def attempt(self) -> int:
        """The number of the latest attempt, 0 before the first."""
        return self.attempts[-1].number if self.attempts else 0

    @property
    def usage(self) -> Usage:
        """What its ended attempts used together."""
        used = [attempt.usage for attempt in self.attempts]
        return reduce(Usage.__add__, used) if used else Usage()

    def to_json(self) -> dict[str, Any]:
        """The run as the contract's JSON."""
        return {
            "id": self.id,
            "issue": str(self.issue),
            "trigger": str(self.trigger),
            "triggered_by": self.trigger.actor,
            "triggered_at": to_rfc3339(self.trigger.at),
            "state": self.state,
            "phase": self.phase,
            "reason": self.reason,
            "detail": self.detail,
            "attempt": self.attempt,
            "attempts": [attempt.to_json() for attempt in self.attempts],
            "usage": self.usage.to_json(),
            "pull_request": self.pull_request,
            "created_at": to_rfc3339(self.created_at),
            "started_at": to_rfc3339(self.started_at),
            "ended_at": to_rfc3339(self.ended_at),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The run that ``to_json`` wrote."""
        kind, _, key = data["trigger"].partition(":")
        created_at = from_rfc3339(data["created_at"])
        if created_at is None:
            raise ValueError("a run has a created_at")
        return cls(
            id=data["id"],
            issue=IssueRef.parse(data["issue"]),
            trigger=Trigger(
                TriggerKind(kind), key, data["triggered_by"], from_rfc3339(data["triggered_at"])
            ),
            created_at=created_at,
            state=RunState(data["state"]),
            phase=Phase(data["phase"]) if data["phase"] else None,
            reason=Reason(data["reason"]) if data["reason"] else None,
            detail=data["detail"],
            attempts=tuple(Attempt.from_json(attempt) for attempt in data["attempts"]),
            pull_request=data["pull_request"],
            started_at=from_rfc3339(data["started_at"]),
            ended_at=from_rfc3339(data["ended_at"]),
        )


def run_id(issue: IssueRef, trigger: Trigger) -> str:
    """A run's id: readable, unique per issue and trigger, and fit for a systemd unit's name.

    ``[a-z0-9-]`` only, at most 60 characters: ``widgets-7-1f0c5e9a2b``.
    """
    name = re.sub(r"[^a-z0-9]+", "-", issue.repository.name.lower()).strip("-")[:36].strip("-")
    digest = hashlib.sha256(f"{str(issue).lower()}:{trigger}".encode()).hexdigest()[:10]
    return "-".join(part for part in (name, str(issue.number), digest) if part)


def spent_since(moment: datetime, runs: Iterable[Run]) -> dict[str, float]:
    """What attempts that ended since the moment cost in US dollars, by repository.

    The keys are ``owner/name`` in lower case.
    """
    spent: dict[str, float] = {}
    for run in runs:
        repository = str(run.issue.repository).lower()
        for attempt in run.attempts:
            cost_usd = attempt.usage.cost_usd
            if cost_usd and attempt.ended_at is not None and attempt.ended_at >= moment:
                spent[repository] = spent.get(repository, 0.0) + cost_usd
    return spent


def _sum(one: _Number | None, other: _Number | None) -> _Number | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def to_rfc3339(moment: datetime | None) -> str | None:
    """``2026-01-31T12:00:00.123Z``; None stays None."""
    if moment is None:
        return None
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def from_rfc3339(text: str | None) -> datetime | None:
    """The moment that an RFC 3339 text names; None stays None."""
    return None if text is None else datetime.fromisoformat(text)
