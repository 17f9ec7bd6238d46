"""A repository's hooks through the real daemon, when attempts end otherwise than hoped."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from claude_flow.service.places import TOKEN_FILE
from claude_flow.testing.daemon_process import DaemonProcess, until
from claude_flow.testing.installation import Installation
from claude_flow.testing.world import World

HOOKS = ("after_create", "before_run", "after_run", "before_remove")
SLEEP = "open('asleep', 'w'); time.sleep(600)"
FAIL = "open('half.txt', 'w').write('half'); sys.exit(3)"


class Signs:
    """What hooks wrote down, each with the number of its attempt."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "signs"

    def file(self, **scripts: str) -> str:
        """A workflow file whose hooks leave signs, before what else is said of them."""
        lines = ["---", "hooks:", "  timeout_seconds: 2"]
        for name in HOOKS:
            sign = f'echo "{name} $CLAUDE_FLOW_ATTEMPT" >> {self.path}'
            lines += [f"  {name}: |", f"    {sign}", f"    {scripts.get(name, ':')}"]
        return "\n".join([*lines, "---", "{{ issue.body }}", ""])

    @property
    def all(self) -> list[str]:
        """In the order of writing."""
        return self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []


@pytest.fixture
def signs(installation: Installation) -> Signs:
    return Signs(installation.root.parent)


def begin(installation: Installation, text: str, work: str) -> tuple[DaemonProcess, Any]:
    repository = installation.add_repository("acme/hooked", {".github/claude-flow.md": text})
    return installation.start(), installation.issue(repository, work)


def asleep(installation: Installation) -> Path | None:
    return next((installation.state / "workspaces").glob("*/asleep"), None)


def test_a_cancelled_run_has_its_last_hooks_and_then_leaves_nothing(
    installation: Installation, signs: Signs
) -> None:
    leaves = "test -e asleep; setsid sleep 600 & sleep 1"
    daemon, issue = begin(installation, signs.file(after_run=leaves), SLEEP)
    until(lambda: asleep(installation), daemon.last_words)
    (run,) = daemon.runs(issue)
    token = (installation.state / TOKEN_FILE).read_text(encoding="ascii").strip()
    for _ in range(3):
        answer = daemon.ask(f"/api/v1/runs/{run['id']}/cancel", method="POST", token=token)
        assert answer.status == 202
    run = installation.ended(daemon, issue)
    assert (run["state"], run["reason"]) == ("cancelled", "cancelled_by_user")
    assert signs.all == [f"{name} 1" for name in HOOKS]
    until(lambda: not installation.agents(), daemon.last_words)
    assert not (installation.state / "workspaces" / run["id"]).exists()
    assert "hook-after-run of attempt 1 is done" in daemon.log
    assert daemon.stop() == 0


def test_a_kept_workspace_has_its_hook_when_its_time_is_over(
    installation: Installation, signs: Signs
) -> None:
    installation.configure(claude_flow={"max_attempts": 1})
    gone = "cat half.txt; sleep 600"  # what hangs is ended, and keeps nothing
    daemon, issue = begin(installation, signs.file(before_remove=gone), FAIL)
    run = installation.ended(daemon, issue)
    workspace = installation.state / "workspaces" / run["id"]
    assert (workspace / "half.txt").exists()
    assert signs.all == [f"{name} 1" for name in HOOKS[:3]]

    installation.configure(workspace={"keep_failed_seconds": 0})
    daemon.signal(signal.SIGHUP)
    until(lambda: not workspace.exists(), daemon.last_words)
    assert signs.all == [f"{name} 1" for name in HOOKS]
    said = installation.state / "runs" / run["id"] / "1/hook-before-remove/stdout.log"
    assert said.read_text(encoding="utf-8") == "half"
    assert "hook-before-remove of attempt 1 was ended: it took longer than 2 s" in daemon.log
    assert not installation.agents()
    assert daemon.stop() == 0


def test_a_workspace_that_is_made_anew_has_its_hook_and_one_cut_short_too(
    installation: Installation, signs: Signs
) -> None:
    installation.configure(claude_flow={"max_attempts": 2, "timeout_seconds": 3})
    daemon, issue = begin(installation, signs.file(before_remove="exit 1"), SLEEP)
    run = installation.ended(daemon, issue)
    assert [one["reason"] for one in run["attempts"]] == ["timed_out", "timed_out"]
    assert signs.all == [
        *(f"{name} 1" for name in HOOKS[:3]),
        "before_remove 2",
        *(f"{name} 2" for name in HOOKS[:3]),
    ]
    assert daemon.stop() == 0


def test_a_closed_issue_has_the_last_hooks(
    installation: Installation, world: World, signs: Signs
) -> None:
    waits = f"while [ ! -e {signs.path}.closed ]; do sleep 0.1; done"
    daemon, issue = begin(installation, signs.file(after_run=waits), "open('a', 'w')")
    until(lambda: "after_run 1" in signs.all, daemon.last_words)
    world.github.close_issue(issue)
    signs.path.with_suffix(".closed").touch()
    run = installation.ended(daemon, issue)
    assert (run["state"], run["reason"]) == ("cancelled", "issue_closed")
    assert signs.all == [f"{name} 1" for name in HOOKS]
    assert daemon.stop() == 0
