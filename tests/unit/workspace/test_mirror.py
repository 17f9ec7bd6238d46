"""Mirrors: shared by runs, mended after a crash, never fetched into by two at once."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread

import pytest

from claude_flow.errors import WorkspaceError, WorkspaceUnreachableError
from claude_flow.model.issue import Repository
from claude_flow.ports import Workspace
from claude_flow.workspace.locks import locked
from tests.unit.workspace.conftest import BRANCH, WIDGETS, Scene, git

_PATIENCE_SECONDS = 20.0


def _write(directory: Path, name: str, text: str = "x") -> None:
    (directory / name).write_text(text)


def _start(
    argv: list[str], *, env: dict[str, str] | None = None, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv, env=env, pass_fds=pass_fds, stdin=subprocess.PIPE, start_new_session=True
    )


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


async def test_locks_left_by_a_killed_git_do_not_stop_the_next(scene: Scene) -> None:
    await scene.prepare()
    commit = scene.publish(lambda clone: _write(clone, "new.txt"))
    leftovers = [
        scene.mirror / name
        for name in (
            "packed-refs.lock",
            "config.lock",
            "shallow.lock",
            "refs/heads/main.lock",
            "objects/pack/tmp_pack_abc",
        )
    ]
    for leftover in leftovers:
        leftover.touch()

    workspace = await scene.prepare()

    assert workspace.base == commit
    assert not any(map(os.path.exists, leftovers))


@pytest.mark.parametrize("half_done", ["new", "old"])
async def test_a_clone_cut_short_is_begun_anew(scene: Scene, half_done: str) -> None:
    await scene.prepare()
    if half_done == "old":
        scene.mirror.rename(scene.mirror.with_suffix(".old"))  # between the two renames
    else:
        shutil.rmtree(scene.mirror)
        (scene.mirror.with_suffix(".new") / "objects").mkdir(parents=True)

    workspace = await scene.prepare()

    assert (workspace.path / "README.md").exists()
    assert sorted(path.name for path in scene.mirror.parent.iterdir()) == [
        "widgets.git",
        "widgets.lock",
    ]


@pytest.mark.parametrize("spoiled", ["HEAD", "ref", "packs", "objects", "config"])
async def test_a_spoiled_mirror_is_made_anew(scene: Scene, spoiled: str) -> None:
    first = await scene.prepare()
    match spoiled:
        case "HEAD":
            (scene.mirror / "HEAD").write_text("")
        case "ref":
            (scene.mirror / "refs/heads/main").write_text("")
        case "packs" | "objects":
            for pattern in ("objects/pack/*", "objects/??/*"):
                for file in scene.mirror.glob(pattern):
                    file.chmod(0o600)
                    file.write_bytes(b"" if spoiled == "packs" else b"x" * 40)
        case _:
            (scene.mirror / "config").write_text("[core\n")

    assert await scene.prepare() == first


async def test_two_runs_of_one_repository_do_not_fetch_at_once(scene: Scene) -> None:
    prepared: list[Workspace] = []

    def in_a_loop_of_its_own(number: int) -> None:
        prepared.append(asyncio.run(scene.prepare(f"r-{number}")))

    threads = [Thread(target=in_a_loop_of_its_own, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_PATIENCE_SECONDS)

    assert len(prepared) == len(threads)
    assert all((workspace.path / "README.md").exists() for workspace in prepared)


async def test_forty_runs_of_one_repository_are_prepared_at_once(scene: Scene) -> None:
    """None fails on another's lock. ``bench/workspace`` does it with 5,000 files."""

    def write_many(clone: Path) -> None:
        for number in range(300):
            _write(clone, f"{number}.txt")

    scene.publish(write_many)

    prepared = await asyncio.gather(*(scene.prepare(f"r-{number}") for number in range(40)))

    assert all((workspace.path / "299.txt").exists() for workspace in prepared)
    assert git("status", "--porcelain", cwd=prepared[-1].path) == ""


async def test_a_lock_that_is_never_given_back_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    async with locked(path, timeout_seconds=5):
        with pytest.raises(WorkspaceError, match="another process has held") as caught:
            async with locked(path, timeout_seconds=0.2):
                pass

    assert caught.value.hint == f"find it with: fuser {path}"
    async with locked(path, timeout_seconds=0.2):
        pass


async def test_a_git_that_outlives_its_daemon_keeps_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    async with locked(path, timeout_seconds=5) as fd:
        orphan = _start([sys.executable, "-c", "input()"], pass_fds=[fd])
    try:
        with pytest.raises(WorkspaceError):
            async with locked(path, timeout_seconds=0.2):
                pass
    finally:
        orphan.communicate(b"\n")

    async with locked(path, timeout_seconds=5):
        pass


_DAEMON = """
import asyncio, sys
from pathlib import Path
from claude_flow.execution.processes import ProcessRunner
from claude_flow.model.issue import Repository
from claude_flow.workspace import GitWorkspaces, WorkspaceSettings
import os
root, url = Path(sys.argv[1]), sys.argv[2]
settings = WorkspaceSettings(
    repos_directory=root / "state/repos", runs_directory=root / "state/runs",
    workspace_root=root / "workspaces", git_base_url=url, credential=lambda: None,
    host_environment=os.environ, author_name="x", author_email="x@example.com",
)
asyncio.run(GitWorkspaces(settings, ProcessRunner()).prepare(
    "r-1", Repository("octo", "widgets"), branch="b", start_from="main"))
"""


async def test_a_daemon_killed_while_it_clones_is_followed_by_one_that_works(
    scene: Scene,
) -> None:
    # The first daemon's git blocks when it is to fetch, until it is let go on.
    here = scene.directory
    slow = here / "bin/git"
    slow.parent.mkdir()
    slow.write_text(
        f'#!/bin/sh\nif test "$1" = fetch; then touch {here}/cloning\n'
        f"while ! test -e {here}/go; do sleep 0.02; done; fi\n"
        f'exec {shutil.which("git")} "$@"\n'
    )
    slow.chmod(0o755)
    daemon = _start(
        [sys.executable, "-c", _DAEMON, str(here), scene.settings.git_base_url],
        env={**os.environ, "PATH": f"{slow.parent}:{os.environ['PATH']}"},
    )
    _wait_for((here / "cloning").exists)
    os.killpg(daemon.pid, signal.SIGKILL)
    daemon.communicate()

    with pytest.raises(WorkspaceError, match="another process"):
        async with locked(scene.mirror.with_suffix(".lock"), timeout_seconds=0.2):
            pass
    (here / "go").touch()
    workspace = await scene.prepare()

    assert (workspace.path / "README.md").exists()


async def test_runs_survive_the_mirrors_repacking(scene: Scene) -> None:
    early = await scene.prepare("r-early")
    for number in range(41):
        blob = scene.directory / "blob"
        blob.write_text(str(number))
        name = git("hash-object", "-w", str(blob), cwd=scene.mirror)
        _pack(scene.mirror, name)
    # The early run's base is no longer on any branch.
    git("update-ref", "refs/heads/main", _orphan(scene), cwd=scene.server)
    await scene.workspaces.prepare("r-1", WIDGETS, branch="b", start_from="main")

    assert len(list(scene.mirror.glob("objects/pack/*.pack"))) < 5
    (early.path / "a.txt").write_text("a")
    changes = await scene.collect(early)
    assert changes is not None
    await scene.push(early, changes)


def _pack(repository: Path, name: str) -> None:
    subprocess.run(
        ["git", "pack-objects", "-q", "objects/pack/pack"],
        cwd=repository,
        input=f"{name}\n".encode(),
        stdout=subprocess.DEVNULL,
        check=True,
    )


def _orphan(scene: Scene) -> str:
    clone = scene.directory / "clone"
    git("checkout", "-q", "--orphan", "fresh", cwd=clone)
    git("commit", "-q", "-m", "Anew", cwd=clone)
    git("push", "-q", "origin", "HEAD:refs/heads/fresh", cwd=clone)
    return git("rev-parse", "HEAD", cwd=clone)


async def test_a_branch_that_becomes_a_directory_is_followed(scene: Scene) -> None:
    commit = scene.publish(lambda clone: _write(clone, "a.txt"), "topic")
    await scene.prepare()
    git("update-ref", "-d", "refs/heads/topic", cwd=scene.server)
    git("update-ref", "refs/heads/topic/one", commit, cwd=scene.server)

    workspace = await scene.prepare(start_from="topic/one")

    assert workspace.base == commit


async def test_names_that_differ_in_capitals_share_a_mirror(scene: Scene) -> None:
    await scene.prepare()
    (scene.directory / "server/Octo").symlink_to("octo")
    (scene.directory / "server/octo/Widgets.git").symlink_to("widgets.git")

    await scene.workspaces.prepare(
        "r-2", Repository("Octo", "Widgets"), branch=BRANCH, start_from="main"
    )

    assert [path.name for path in scene.settings.repos_directory.iterdir()] == ["octo"]


async def test_logs_of_attempts_outlive_the_workspace(scene: Scene) -> None:
    await scene.prepare()
    log = scene.run() / "1/stdout.log"
    log.parent.mkdir()
    log.write_text("said")

    await scene.prepare()
    await scene.workspaces.remove("r-1")

    assert log.read_text() == "said"
    assert [path.name for path in scene.run().iterdir()] == ["1"]


async def test_an_unreachable_server_may_be_tried_again(scene: Scene) -> None:
    scene.change(git_base_url="http://127.0.0.1:9")

    with pytest.raises(WorkspaceUnreachableError, match="octo/widgets") as caught:
        await scene.prepare()

    assert caught.value.hint is not None
    assert "github.git_base_url" in caught.value.hint


@pytest.mark.parametrize("run_id", ["", "..", "a/b", "-rf", ".hidden", "a\nb"])
async def test_a_run_id_that_leads_elsewhere_is_refused(scene: Scene, run_id: str) -> None:
    with pytest.raises(WorkspaceError, match="cannot be a run's id"):
        await scene.workspaces.remove(run_id)


@pytest.mark.parametrize("branch", ["", "a..b", "-x", "a b", "a.lock", "@{"])
async def test_a_branch_name_that_git_refuses_is_told(scene: Scene, branch: str) -> None:
    with pytest.raises(WorkspaceError, match="cannot be the name of a git branch"):
        await scene.workspaces.prepare("r-1", WIDGETS, branch=branch, start_from="main")


async def test_a_state_directory_that_cannot_be_written_is_told(scene: Scene) -> None:
    (scene.directory / "state").write_text("a file, not a directory")

    with pytest.raises(WorkspaceError, match="Not a directory") as caught:
        await scene.prepare()

    assert caught.value.hint is not None


async def test_a_missing_git_is_told(scene: Scene) -> None:
    scene.change(host_environment={"PATH": "/nonexistent"})

    with pytest.raises(WorkspaceError, match="could not start git"):
        await scene.prepare()
