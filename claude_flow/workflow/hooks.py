"""A repository's hooks: scripts around an attempt, and what follows when one fails.

The rules are those of openai/symphony's SPEC, section 9.4.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from claude_flow.errors import ClaudeFlowError, EngineError, HookError
from claude_flow.ports import AgentTask
from claude_flow.workflow.commands import Commands, Failed
from claude_flow.workflow_file import Hooks

_log = logging.getLogger(__name__)

T = TypeVar("T")

_BEFORE = {"after_create": "hook-after-create", "before_run": "hook-before-run"}
_AFTER_RUN = "hook-after-run"

BEFORE_REMOVE = "hook-before-remove"
"""The part of a run's last attempt whose workspace goes."""
BEFORE_REMOVE_OLD = "hook-before-remove-old"
"""The part of an attempt that gets a workspace of its own in the place of the last one's."""

FIRST_PARTS = tuple(_BEFORE.values())
"""The parts of an attempt that come before its agent, where there are hooks."""


async def around(
    commands: Commands,
    task: AgentTask,
    hooks: Hooks,
    work: Callable[[], Awaitable[T]],
    *,
    is_cancelled: Callable[[], Awaitable[bool]],
) -> T:
    """The work with its hooks before and after; the latter also if it failed or was cancelled.

    Not if it was cut short while the run ``is_cancelled`` not: then the daemon ends, and the
    next one goes on, or another host does. Raises HookError if a hook before it fails.
    """
    for name, part in _BEFORE.items():
        failed = await _run(commands, task, part, hooks, getattr(hooks, name))
        if failed is not None:
            raise HookError(
                f"the repository's hook {name} {failed.how}: {_last_line(failed.output)}",
                hint=f"its output is in {part}/stdout.log of the attempt",
            )
    try:
        done = await work()
    except EngineError:
        raise
    except ClaudeFlowError:
        await _run_whatever_comes(commands, task, _AFTER_RUN, hooks, hooks.after_run)
        raise
    except asyncio.CancelledError:
        if await is_cancelled():
            await _run_whatever_comes(commands, task, _AFTER_RUN, hooks, hooks.after_run)
        raise
    await _run_whatever_comes(commands, task, _AFTER_RUN, hooks, hooks.after_run)
    return done


async def before_remove(commands: Commands, task: AgentTask, part: str, hooks: Hooks) -> None:
    """The hook before a workspace goes; it goes whatever comes of it."""
    await _run_whatever_comes(commands, task, part, hooks, hooks.before_remove)


async def _run(
    commands: Commands, task: AgentTask, part: str, hooks: Hooks, script: str | None
) -> Failed | None:
    if script is None:
        return None
    return await commands.run(task, part, script, timeout_seconds=hooks.timeout_seconds)


async def _run_whatever_comes(
    commands: Commands, task: AgentTask, part: str, hooks: Hooks, script: str | None
) -> None:
    try:
        await _run(commands, task, part, hooks, script)  # a failure is in the log already
    except EngineError:
        raise
    except ClaudeFlowError as error:
        _log.warning("%s of %s could not be run: %s", part, task.run_id, error)


def _last_line(output: str) -> str:
    return output.strip().rpartition("\n")[2] or "it said nothing"
