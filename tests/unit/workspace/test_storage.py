"""What runs left on the disk: listed, measured, removed, with real git and a record in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from claude_flow.agents.settings import AgentSettings
from claude_flow.agents.shell import RepositoryShell
from claude_flow.errors import GitHubUnreachableError, WorkspaceError
from claude_flow.execution.processes import ProcessRunner
from claude_flow.model.issue import IssueRef, Repository
from claude_flow.model.run import Run, RunState, Trigger, TriggerKind
from claude_flow.model.transitions import AttemptStarted, apply
from claude_flow.ports import AgentTask
from claude_flow.testing.clock import FakeClock
from claude_flow.testing.fake_engine import FakeEngine
from claude_flow.testing.fake_execution import FakeExecution, Pause, Say, Scenario
from claude_flow.testing.fake_github import FakeGitHub
from claude_flow.testing.fake_workspaces import FakeWorkspaces
from claude_flow.triggers.trust import TrustGate
from claude_flow.workflow import Patience
from claude_flow.workflow.briefing import Briefing
from claude_flow.workflow.commands import Commands
from claude_flow.workflow.housekeeping import Housekeeping
from claude_flow.workflow.removal import WorkspaceRemoval
from claude_flow.workflow.retention import Removals, RetentionPolicy
from claude_flow.workflow_file import Hooks, Numbers, Operator
from claude_flow.workflow_file.renderer import Renderer
from claude_flow.workspace import WorkspaceStorage
from claude_flow.workspace.locks import locked
from claude_flow.workspace.space import SpaceWatch
from tests.unit.workspace.conftest import BRANCH, WIDGETS, Scene

KEEP = RetentionPolicy(
    keep_failed=timedelta(days=3),
    keep_runs=timedelta(days=30),
    max_total_bytes=None,
    min_free_bytes=0,
)

OPERATOR = Operator(
    ".github/claude-flow.md",
    frozenset({"hooks"}),
    Numbers(
        max_turns=1, budget_usd=None, timeout_seconds=9, stall_timeout_seconds=9, max_attempts=1
    ),
    hooks=Hooks(before_remove="docker compose down", timeout_seconds=0.2),
)


def _storage(scene: Scene) -> WorkspaceStorage:
    return WorkspaceStorage(scene.settings, ProcessRunner())


class House:
    """Housekeeping over a scene; ``record`` notes runs that have ended or go on."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.clock = FakeClock()
        self.engine = FakeEngine(self.clock)
        self.policy = KEEP
        self.watched = [WIDGETS]
        self.github = FakeGitHub(self.clock)
        self.github.state.add_repository(WIDGETS)
        self.hook = Scenario()
        self.execution = FakeExecution(self._play, clock=self.clock)
        self.housekeeping = Housekeeping(
            storage=_storage(scene),
            removal=self._removal(),
            engine=self.engine,
            policy=lambda: self.policy,
            repositories=lambda: self.watched,
            free_bytes=lambda: 2**50,
            clock=self.clock,
        )

    def _removal(self) -> WorkspaceRemoval:
        patience = Patience(first_seconds=0.01, longest_seconds=0.02)
        workspaces = self.scene.workspaces
        shell = AgentSettings(kind="command", environment_allowlist=("PATH",))
        return WorkspaceRemoval(
            github=self.github,
            workspaces=workspaces,
            briefing=Briefing(
                workspaces=workspaces,
                gate=TrustGate(self.github, minimum_permission=lambda: "write"),
                operator=lambda: OPERATOR,
                render=Renderer(ProcessRunner()).render,
                patience=patience,
            ),
            commands=Commands(
                execution=self.execution,
                find_shell=lambda: RepositoryShell(shell, {"PATH": "/bin"}),
                redact=lambda text: text,
            ),
            runs_directory=self.scene.settings.runs_directory,
        )

    def _play(self, task: AgentTask) -> Scenario:
        assert (task.workspace / "README.md").exists()
        return self.hook

    @property
    def hooks(self) -> list[str]:
        """The runs whose hooks ran, in order."""
        assert {task.part for task in self.execution.tasks} <= {"hook-before-remove"}
        return [task.run_id for task in self.execution.tasks]

    async def run(self, number: int, state: RunState) -> str:
        """A run that has a workspace and a log; its id."""
        issue = IssueRef(WIDGETS, number)
        run = Run.queued(issue, Trigger(TriggerKind.LABEL, "1"), self.clock())
        run = apply(run, AttemptStarted(1, self.clock()))
        ended_at = self.clock() if state.is_final else None
        self.engine.state.runs[run.id] = replace(run, state=state, ended_at=ended_at)
        workspace = await self.scene.workspaces.prepare(
            run.id, WIDGETS, branch=BRANCH, start_from="main"
        )
        (workspace.path / "large").write_bytes(bytes(100_000))
        log = self.scene.run(run.id) / "1/stdout.log"
        log.parent.mkdir()
        log.write_text("said")
        return run.id

    def workspaces(self) -> set[str]:
        return {path.name for path in self.scene.settings.workspace_root.iterdir()}

    def runs(self) -> set[str]:
        return {path.name for path in self.scene.settings.runs_directory.iterdir()}


@pytest.fixture
def house(scene: Scene) -> House:
    return House(scene)


async def test_a_failed_runs_workspace_stays_for_its_time_and_its_log_longer(house: House) -> None:
    failed = await house.run(1, RunState.FAILED)
    running = await house.run(2, RunState.RUNNING)
    succeeded = await house.run(3, RunState.SUCCEEDED)

    await house.housekeeping.tidy()
    assert house.workspaces() == {failed, running}
    assert house.hooks == [succeeded]

    house.clock.advance(4 * 86400)
    await house.housekeeping.tidy()
    assert house.workspaces() == {running}
    assert house.hooks == [succeeded, failed]
    assert [path.name for path in house.scene.run(failed).iterdir()] == ["1"]
    assert house.runs() == {failed, running, succeeded}

    house.clock.advance(30 * 86400)
    await house.housekeeping.tidy()
    assert house.runs() == {running}
    assert house.hooks == [succeeded, failed]
    assert (house.scene.settings.workspace_root / running / "README.md").exists()


async def test_the_oldest_make_room_as_measured(house: House) -> None:
    ids = []
    for number in range(3):
        ids.append(await house.run(number + 1, RunState.FAILED))
        house.clock.advance(60)
    sizes = await _storage(house.scene).workspace_bytes(ids)
    assert all(100_000 < size < 1_000_000 for size in sizes.values())

    house.policy = replace(KEEP, max_total_bytes=2 * max(sizes.values()))
    removed = await house.housekeeping.tidy()

    assert removed == Removals(workspaces=(ids[0],))
    assert house.workspaces() == {*ids[1:]}


async def test_a_dropped_repositorys_mirror_goes_when_no_run_borrows_it(house: House) -> None:
    failed = await house.run(1, RunState.FAILED)
    house.watched = []
    os.utime(house.scene.mirror.with_suffix(".lock"), (0, 0))
    house.policy = replace(KEEP, keep_failed=timedelta(days=1000), keep_runs=timedelta(days=1000))
    await house.housekeeping.tidy()
    assert house.scene.mirror.exists()

    await house.scene.workspaces.remove(failed)
    house.watched = [Repository("Octo", "Widgets")]
    await house.housekeeping.tidy()
    assert house.scene.mirror.exists()

    house.watched = []
    await house.housekeeping.tidy()
    assert not house.scene.mirror.exists()
    await house.run(2, RunState.RUNNING)  # and it is made anew when it is wanted


async def test_a_mirror_that_is_used_meanwhile_stays(scene: Scene) -> None:
    await scene.prepare()
    (seen,) = await _storage(scene).stored_mirrors()
    os.utime(scene.mirror.with_suffix(".lock"), (0, 0))

    assert not await _storage(scene).remove_mirror(seen)
    (old,) = await _storage(scene).stored_mirrors()
    async with locked(scene.mirror.with_suffix(".lock"), timeout_seconds=5):
        with pytest.raises(WorkspaceError, match="another process has held"):
            await _storage(scene).remove_mirror(old)
    assert scene.mirror.exists()
    assert await _storage(scene).remove_mirror(old)


async def test_what_is_none_of_ours_is_not_touched(house: House) -> None:
    root = house.scene.settings
    for stranger in (root.workspace_root / "photos", root.runs_directory / "not a run"):
        stranger.mkdir(parents=True)
    (root.runs_directory / "linked").symlink_to("/etc")
    house.clock.advance(10 * 365 * 86400)

    assert await house.housekeeping.tidy() == Removals()
    assert (root.workspace_root / "photos").exists()


async def test_one_that_cannot_be_removed_is_told_after_the_rest_is_done(house: House) -> None:
    first = await house.run(1, RunState.SUCCEEDED)
    second = await house.run(2, RunState.SUCCEEDED)
    fake = FakeWorkspaces(house.scene.settings.workspace_root)
    fake.fail_next("remove", WorkspaceError("it is a mount point"))
    house.housekeeping.removal = replace(house.housekeeping.removal, workspaces=fake)
    with pytest.raises(WorkspaceError, match="mount point"):
        await house.housekeeping.tidy()

    assert len(house.workspaces() & {first, second}) == 1


@pytest.mark.parametrize(
    "scenario",
    [Scenario((Say("no such container"),), 1), Scenario((Pause(),))],
    ids=["ends", "hangs"],
)
async def test_a_hook_that_fails_keeps_no_workspace(house: House, scenario: Scenario) -> None:
    house.hook = scenario
    run = await house.run(1, RunState.CANCELLED)
    await house.housekeeping.tidy()
    assert house.hooks == [run]
    assert house.workspaces() == set()


async def test_a_hook_that_cannot_be_read_keeps_no_workspace(house: House) -> None:
    await house.run(1, RunState.CANCELLED)

    def fail(_: str) -> None:
        raise GitHubUnreachableError("no answer")

    house.github.on_call = fail
    await house.housekeeping.tidy()
    assert (house.hooks, house.workspaces()) == ([], set())


async def test_a_run_that_goes_with_its_workspace_has_its_hook_first(house: House) -> None:
    house.policy = replace(KEEP, keep_runs=timedelta(0))
    run = await house.run(1, RunState.FAILED)
    await house.housekeeping.tidy()
    assert (house.hooks, house.runs()) == ([run], set())


async def test_nobodys_workspace_goes_without_a_hook(house: House) -> None:
    await house.run(1, RunState.FAILED)
    house.engine.state.runs.clear()
    house.clock.advance(4 * 86400)
    os.utime(next(house.scene.settings.runs_directory.iterdir()), (0, 0))
    await house.housekeeping.tidy()
    assert (house.hooks, house.workspaces()) == ([], set())


async def test_nothing_there_is_nothing_to_do(house: House) -> None:
    assert await house.housekeeping.tidy() == Removals()
    assert await _storage(house.scene).stored_mirrors() == []


def test_room_is_asked_of_every_disk_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    free = {tmp_path: 100, Path("/"): 40}
    ask: Callable[[Path], int] = free.__getitem__
    watch = SpaceWatch([tmp_path / "not/yet", Path("/")], lambda: 50, ask=ask)
    caplog.set_level("INFO")

    assert [watch.has_room(), watch.has_room()] == [False, False]
    assert watch.look().directory == Path("/")
    free[Path("/")] = 50
    assert [watch.has_room(), watch.has_room()] == [True, True]
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "no new run starts",
        "new runs start again",
    ]


def test_a_disk_that_cannot_be_asked_has_no_room(caplog: pytest.LogCaptureFixture) -> None:
    def ask(_: Path) -> int:
        raise PermissionError(13, "not for you")

    watch = SpaceWatch([Path("/")], lambda: 50, ask=ask)
    assert [watch.has_room(), watch.has_room()] == [False, False]
    assert len(caplog.records) == 1
