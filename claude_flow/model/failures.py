"""Why an agent could not go on, as far as it makes a difference to what is done next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus


class FailureKind(StrEnum):
    """What stood in an agent's way."""

    REFUSED_KEY = "refused_key"
    """The model's API does not know the key (401): nothing works until a person acts."""
    FORBIDDEN = "forbidden"
    """The key may not do this (402, 403)."""
    BAD_REQUEST = "bad_request"
    """The API cannot do what was asked for (any other 4xx); it would not later either."""
    USAGE_LIMIT = "usage_limit"
    """Enough was used for now (429): it works again later, without a change."""
    OVERLOADED = "overloaded"
    """The API itself is in trouble (5xx)."""
    UNREACHABLE = "unreachable"
    """The API gave no answer."""
    TURN_LIMIT = "turn_limit"
    """``claude_flow.max_turns`` is used up."""
    BUDGET = "budget"
    """A budget is used up: ``claude_flow.budget_usd``, or the run's, repository's or day's."""
    WORKFLOW_FILE = "workflow_file"
    """The repository's workflow file cannot be used: no agent ran."""
    VERIFY = "verify"
    """The repository's checks do not pass, whatever the agent tried."""


@dataclass(frozen=True, slots=True)
class ModelFailure:
    """One failure; ``status`` is the API's HTTP status, ``resets_at`` when a usage limit ends.

    Both are None where the agent did not say.
    """

    kind: FailureKind
    status: int | None = None
    resets_at: datetime | None = None

    @classmethod
    def of_status(cls, status: int, *, resets_at: datetime | None = None) -> ModelFailure:
        """The failure that an error status of the API means."""
        match status:
            case HTTPStatus.UNAUTHORIZED:
                kind = FailureKind.REFUSED_KEY
            case HTTPStatus.PAYMENT_REQUIRED | HTTPStatus.FORBIDDEN:
                kind = FailureKind.FORBIDDEN
            case HTTPStatus.TOO_MANY_REQUESTS:
                return cls(FailureKind.USAGE_LIMIT, status, resets_at)
            case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                kind = FailureKind.OVERLOADED
            case _:
                kind = FailureKind.BAD_REQUEST
        return cls(kind, status)
