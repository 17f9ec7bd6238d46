"""Real daemons, killed with SIGKILL or beside each other, on each kind of database."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from claude_flow.model.run import RunState

Until = Callable[[Callable[[], object]], None]


def _repeated_after_completion(said: list[list[str]]) -> list[tuple[str, int]]:
    """Steps that were done again although a later step of their run had begun."""
    furthest: dict[str, int] = {}
    repeated = []
    for what, run_id, _host in said:
        if what.isdigit():
            if int(what) < furthest.get(run_id, 0):
                repeated.append((run_id, int(what)))
            furthest[run_id] = max(furthest.get(run_id, 0), int(what))
    return repeated


def _kill_after(lines: int, daemon: Any, daemons: Any, until: Until) -> None:
    before = len(daemons.said)
    until(lambda: len(daemons.said) > before + lines or daemon.poll() is not None)
    daemon.kill()
    daemon.wait()


def test_killed_at_any_point_nothing_completed_is_repeated(daemons: Any, until: Until) -> None:
    issues = ("octo/a#1", "octo/b#1")
    chance = random.Random(7)
    for _ in range(5):
        _kill_after(chance.randint(1, 4), daemons.start(*issues), daemons, until)
    assert daemons.start(*issues).wait(timeout=30) == 0

    runs = daemons.runs()
    assert [run.state for run in runs] == [RunState.SUCCEEDED] * 2
    assert [len(run.attempts) for run in runs] == [1, 1]
    assert _repeated_after_completion(daemons.said) == []
    assert Counter(line[0] for line in daemons.said)["submitted"] == 2


def test_a_second_daemon_on_the_same_state_does_not_start(daemons: Any, until: Until) -> None:
    first = daemons.start("octo/a#1", step_seconds=600)
    until(lambda: daemons.said)
    second = daemons.start("octo/a#1")
    assert second.wait(timeout=30) == 1
    assert f"is held by another daemon (pid {first.pid})" in daemons.errors.read_text()
    assert first.poll() is None
    assert Counter(line[0] for line in daemons.said)["submitted"] == 1
