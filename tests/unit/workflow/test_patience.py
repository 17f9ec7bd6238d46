"""What is waited out, and for how long."""

import asyncio

import pytest

from claude_flow.errors import (
    ClaudeFlowError,
    ForbiddenError,
    GitHubUnreachableError,
    PushRejectedError,
    RateLimitedError,
    TokenRefusedError,
    WorkspaceUnreachableError,
)
from claude_flow.testing.daemon_process import until
from claude_flow.workflow import Patience

QUICK = Patience(first_seconds=0.01, longest_seconds=0.02)


class Flaky:
    """Raises the errors in turn, then answers."""

    def __init__(self, *errors: ClaudeFlowError) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, answer: str, *, times: int) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return answer * times


async def test_passing_troubles_end_in_the_answer() -> None:
    flaky = Flaky(
        GitHubUnreachableError("x"), TokenRefusedError("x"), WorkspaceUnreachableError("x")
    )
    assert await QUICK.call(flaky, "a", times=2) == "aa"
    assert flaky.calls == 4


async def test_a_limit_is_waited_out_as_long_as_asked() -> None:
    flaky = Flaky(RateLimitedError("x", retry_after_seconds=0.3))
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await QUICK.call(flaky, "a", times=1)
    assert loop.time() - begun >= 0.3


@pytest.mark.parametrize("error", [ForbiddenError("x"), PushRejectedError("x")])
async def test_a_refusal_is_not_asked_again(error: ClaudeFlowError) -> None:
    flaky = Flaky(error)
    with pytest.raises(type(error)):
        await QUICK.call(flaky, "a", times=1)
    assert flaky.calls == 1


async def test_waiting_can_be_cancelled() -> None:
    flaky = Flaky(RateLimitedError("x", retry_after_seconds=3600))
    waiting = asyncio.create_task(QUICK.call(flaky, "a", times=1))
    await asyncio.to_thread(until, lambda: flaky.calls, "the first call")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
