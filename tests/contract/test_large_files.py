"""Real git-lfs against the stand-in's batch API and its storage, with a login to keep.

Once with all git as the daemon's, once with the checkout as the agent's, in a unit.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from claude_flow.errors import PushRejectedError, WorkspaceError
from claude_flow.execution.processes import ProcessRunner
from claude_flow.execution.unit_control import UnitControl, UnitSettings
from claude_flow.execution.unit_processes import UnitProcesses
from claude_flow.model.issue import Repository
from claude_flow.testing.fake_units import FakeUnits
from claude_flow.testing.world import World
from claude_flow.workspace import Credential, GitWorkspaces, WorkspaceSettings
from tests.unit.workspace.conftest import git

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
BRANCH = "claude-flow/issue-7"
WIDGETS = Repository("octo", "widgets")
OLD, NEW = b"\0old" * 100_000, b"\0new" * 100_000


def pointer_to(content: bytes) -> str:
    oid = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    files = {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"}
    with World(tmp_path / "world") as world:
        world.github.add_repository(
            WIDGETS, files={**files, "big.bin": pointer_to(OLD)}, private=True
        )
        stored(world, OLD).parent.mkdir(parents=True)
        stored(world, OLD).write_bytes(OLD)
        yield world


def stored(world: World, content: bytes) -> Path:
    oid = hashlib.sha256(content).hexdigest()
    repository = world.git.path(str(WIDGETS))
    return repository / "lfs/objects" / oid[:2] / oid[2:4] / oid


@pytest.fixture(params=["local", "units"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def workspaces(
    world: World, tmp_path: Path, token: str, backend: str = "local", *, lfs: bool = True
) -> GitWorkspaces:
    settings = WorkspaceSettings(
        repos_directory=tmp_path / "state/repos",
        runs_directory=tmp_path / "state/runs",
        workspace_root=tmp_path / "workspaces",
        git_base_url=world.git_base_url,
        credential=lambda: Credential("x-access-token", token),
        host_environment=os.environ,
        author_name="claude-flow",
        author_email="claude-flow@example.com",
        lfs=lambda: lfs,
    )
    if backend == "local":
        return GitWorkspaces(settings, ProcessRunner())
    units = UnitSettings(
        runs_directory=settings.runs_directory,
        units_directory=tmp_path / "units",
        seen_at=tmp_path / "attempt",
        look_seconds=0.05,
    )
    control = UnitControl(units, FakeUnits(units.units_directory, units.seen_at))
    return GitWorkspaces(
        settings,
        ProcessRunner(),
        lambda run_id, places: UnitProcesses(control, run_id, places, clock=lambda: AT),
    )


async def test_large_files_come_and_go_over_http(
    world: World, tmp_path: Path, backend: str
) -> None:
    subject = workspaces(world, tmp_path, world.token, backend)
    workspace = await subject.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    assert (workspace.path / "big.bin").read_bytes() == OLD

    (workspace.path / "big.bin").write_bytes(NEW)
    changes = await subject.collect(workspace, WIDGETS, message="m", at=AT)
    assert changes is not None
    await subject.push(workspace, WIDGETS, commit=changes.commit, branch=BRANCH)

    assert world.github.files(WIDGETS, BRANCH)["big.bin"] == pointer_to(NEW)
    assert stored(world, NEW).read_bytes() == NEW


async def test_an_agent_is_shown_the_large_files_of_its_repository(
    world: World, tmp_path: Path, backend: str
) -> None:
    world.github.add_repository("octo/plain", files={"README.md": "plain\n"})
    subject = workspaces(world, tmp_path, world.token, backend)
    workspace = await subject.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    await subject.prepare("r-2", Repository("octo", "plain"), branch=BRANCH, start_from="main")

    mirror = tmp_path / "state/repos/octo/widgets.git"
    assert subject.agent_places("r-1").large_files == mirror / "lfs/objects"
    assert subject.agent_places("r-2").large_files is None
    (workspace.path / "big.bin").unlink()
    git("checkout", "-q", "--", "big.bin", cwd=workspace.path)
    assert (workspace.path / "big.bin").read_bytes() == OLD


async def test_a_pointer_without_its_object_is_refused_as_github_does(
    world: World, tmp_path: Path
) -> None:
    subject = workspaces(world, tmp_path, world.token, lfs=False)
    workspace = await subject.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    (workspace.path / "big.bin").write_text(pointer_to(NEW))
    changes = await subject.collect(workspace, WIDGETS, message="m", at=AT)
    assert changes is not None

    with pytest.raises(PushRejectedError, match=r"GH008.*workspace\.lfs"):
        await subject.push(workspace, WIDGETS, commit=changes.commit, branch=BRANCH)


async def test_the_login_goes_to_the_git_server_only(world: World, tmp_path: Path) -> None:
    subject = workspaces(world, tmp_path, world.token)
    workspace = await subject.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    (workspace.path / "big.bin").write_bytes(NEW)
    changes = await subject.collect(workspace, WIDGETS, message="m", at=AT)
    assert changes is not None
    await subject.push(workspace, WIDGETS, commit=changes.commit, branch=BRANCH)

    assert world.git.lfs.logins_at_storage == 0
    for top in (tmp_path / "state", tmp_path / "workspaces"):
        for path in top.rglob("*"):
            assert not path.is_file() or world.token.encode() not in path.read_bytes()


async def test_an_object_that_is_missing_is_named(world: World, tmp_path: Path) -> None:
    stored(world, OLD).unlink()

    with pytest.raises(WorkspaceError, match=hashlib.sha256(OLD).hexdigest()):
        await workspaces(world, tmp_path, world.token).prepare(
            "r-1", WIDGETS, branch=BRANCH, start_from="main"
        )


async def test_a_login_that_lfs_refuses_says_so(world: World, tmp_path: Path) -> None:
    world.git.lfs.is_refusing = True

    with pytest.raises(WorkspaceError, match=r"large files.*github\.token"):
        await workspaces(world, tmp_path, world.token).prepare(
            "r-1", WIDGETS, branch=BRANCH, start_from="main"
        )
