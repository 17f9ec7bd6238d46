"""A repository's hooks and checks in real units: as whom, in which sandbox, and how they end."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from claude_flow.errors import HookError
from claude_flow.model.events import Result
from claude_flow.model.run import Usage
from claude_flow.ports import ProcessEnded, Verdict
from claude_flow.testing.attempts import until
from claude_flow.workflow.commands import Failed
from claude_flow.workflow.hooks import BEFORE_REMOVE, around, before_remove
from claude_flow.workflow.verify import Round, in_rounds
from claude_flow.workflow_file import Hooks, Verify
from tests.host.attempt import SECRET, Attempt, processes_of

CHECK = "verify-1-1"
HOOKS = Hooks(
    after_create="echo after_create >> order",
    before_run="echo before_run >> order",
    after_run="echo after_run >> order",
    before_remove="echo before_remove >> order",
)
# Fails with the number of the wall that does not hold.
LOOKS_AROUND = """
test "$(id -un)" = claude-flow-agent || exit 10
test "$CLAUDE_FLOW_ATTEMPT" = 1 || exit 11
test "$PWD" = "$CLAUDE_FLOW_WORKSPACE" || exit 12
if env | grep -F -e @SECRET@; then exit 13; fi
for secret in /var/lib/claude-flow/state.db /etc/claude-flow /etc/shadow; do
    if head -c 1 "$secret" || ls "$secret/"; then exit 14; fi
done
for place in /usr/bin /etc /var/lib /var/lib/claude-flow; do
    if touch "$place/x"; then exit 15; fi
done
if sudo -n true; then exit 17; fi
test -w "$HOME" && test -w "$TMPDIR" || exit 18
cc --version > made-by-a-check
""".replace("@SECRET@", SECRET)


async def never() -> bool:
    return False


def ends(attempt: Attempt) -> list[tuple[str, bool]]:
    """The parts that ended, and whether well."""
    return [(event.part, event.what.ok) for event in attempt.news() if type(event.what) is Result]


async def test_one_works_as_the_agents_user_in_the_agents_sandbox(attempt: Attempt) -> None:
    failed = await attempt.commands().run(attempt.task(), CHECK, LOOKS_AROUND, timeout_seconds=120)
    assert failed is None
    assert (attempt.workspace / "made-by-a-check").owner() == "claude-flow-agent"
    assert ends(attempt) == [(CHECK, True)]


async def test_one_that_fails_is_told_with_its_last_words(attempt: Attempt) -> None:
    script = "echo trying\necho no such database >&2\nexit 3"
    failed = await attempt.commands().run(attempt.task(), CHECK, script, timeout_seconds=120)
    assert failed == Failed(script, "failed with exit code 3", "trying\nno such database")
    assert ends(attempt) == [(CHECK, False)]


async def test_one_that_takes_too_long_is_ended_with_all_that_it_started(attempt: Attempt) -> None:
    script = "trap '' TERM HUP\nsetsid sleep 600 &\necho waiting\nwhile :; do sleep 1; done"
    failed = await attempt.commands().run(attempt.task(), CHECK, script, timeout_seconds=2)
    assert failed == Failed(script, "was ended: it took longer than 2 s", "waiting")
    assert processes_of(attempt.unit_of(CHECK)) == ()


async def test_hooks_stand_around_the_agent(attempt: Attempt) -> None:
    ended = await around(
        attempt.commands(),
        attempt.task(),
        HOOKS,
        lambda: attempt.run("sh", "-c", "echo agent >> order"),
        is_cancelled=never,
    )
    assert ended.exit_code == 0
    await before_remove(attempt.commands(), attempt.task(), BEFORE_REMOVE, HOOKS)
    order = (attempt.workspace / "order").read_text().split()
    assert order == ["after_create", "before_run", "agent", "after_run", "before_remove"]
    parts = ["hook-after-create", "hook-before-run", "agent", "hook-after-run", BEFORE_REMOVE]
    assert ends(attempt) == [(part, True) for part in parts]
    assert [unit for part in parts if (unit := processes_of(attempt.unit_of(part)))] == []


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("echo no disk; exit 3", "hook before_run failed with exit code 3: no disk"),
        ("echo slow; sleep 600", "hook before_run was ended: it took longer than 2 s: slow"),
    ],
    ids=["fails", "takes too long"],
)
async def test_without_the_hook_before_it_the_agent_does_not_begin(
    attempt: Attempt, script: str, how: str
) -> None:
    hooks = replace(HOOKS, before_run=script, timeout_seconds=2)
    with pytest.raises(HookError, match=how):
        await around(
            attempt.commands(),
            attempt.task(),
            hooks,
            lambda: attempt.run("touch", "begun"),
            is_cancelled=never,
        )
    assert not (attempt.workspace / "begun").exists()


async def test_a_hook_behind_it_that_takes_too_long_changes_nothing(attempt: Attempt) -> None:
    hooks = replace(HOOKS, after_run="sleep 600", before_remove="exit 3", timeout_seconds=2)
    ended = await around(
        attempt.commands(),
        attempt.task(),
        hooks,
        lambda: attempt.run("true"),
        is_cancelled=never,
    )
    assert ended.exit_code == 0
    await before_remove(attempt.commands(), attempt.task(), BEFORE_REMOVE, hooks)
    assert ends(attempt)[-2:] == [("hook-after-run", False), (BEFORE_REMOVE, False)]


async def test_the_agent_mends_what_the_checks_find(attempt: Attempt) -> None:
    told: list[str | None] = []

    async def ask(round_: Round) -> tuple[ProcessEnded, Verdict]:
        told.append(round_.feedback)
        script = "true" if round_.feedback is None else "echo mended > mended"
        ended = await attempt.run("sh", "-c", script, part=round_.part)
        return ended, Verdict(None, Usage())

    async def may_begin(_: Round) -> bool:
        return True

    verify = Verify(commands=("test -e mended || { echo not mended; exit 4; }", "sleep 600"))
    verify = replace(verify, timeout_seconds=3, rounds=1)
    found = await in_rounds(ask, may_begin, attempt.commands(), attempt.task(), verify)
    assert told[0] is None
    assert "not mended" in (told[1] or "")
    assert "took longer than 3 s" in (told[1] or "")
    assert [failed.script for failed in found.failed] == ["sleep 600"]
    assert ends(attempt) == [
        ("agent", True),
        (CHECK, False),
        ("verify-1-2", False),
        ("agent-2", True),
        ("verify-2-1", True),
        ("verify-2-2", False),
    ]


async def test_one_ends_with_its_cancelled_run(attempt: Attempt) -> None:
    running = asyncio.create_task(
        attempt.commands().run(attempt.task(), CHECK, "sleep 600", timeout_seconds=120)
    )
    await until(lambda: processes_of(attempt.unit_of(CHECK)))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert processes_of(attempt.unit_of(CHECK)) == ()
