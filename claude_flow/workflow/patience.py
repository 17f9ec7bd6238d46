"""Waiting for GitHub: short troubles and limits are waited out, refusals are not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import stamina

from claude_flow.errors import (
    GitHubUnreachableError,
    RateLimitedError,
    TokenRefusedError,
    WorkspaceUnreachableError,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to pause between tries, in seconds; pauses double up to the longest."""

    first_seconds: float = 2.0
    longest_seconds: float = 300.0

    async def call(self, function: Callable[..., T], *args: object, **named: object) -> T:
        """Call a blocking function in a thread until it gets through.

        Raises whatever else it raises than unreachable, rate limited or a refused token (which
        an operator replaces while the daemon runs).
        """

        async def once() -> T:
            return await asyncio.to_thread(function, *args, **named)

        return await self.wait(once)

    async def wait(self, do: Callable[[], Awaitable[T]]) -> T:
        """The same for something awaited; returns its answer."""
        tries = stamina.retry_context(
            on=_worth_waiting,
            attempts=None,
            timeout=None,
            wait_initial=self.first_seconds,
            wait_max=self.longest_seconds,
            wait_jitter=self.first_seconds / 2,
        )
        async for attempt in tries:
            with attempt:
                return await do()
        raise AssertionError("tries without end have ended")


def _worth_waiting(error: Exception) -> bool | float:
    if isinstance(error, RateLimitedError):
        return error.retry_after_seconds
    return isinstance(error, (GitHubUnreachableError, TokenRefusedError, WorkspaceUnreachableError))
