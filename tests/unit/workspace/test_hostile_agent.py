"""Whatever an agent sets up in its workspace, the daemon's git does not run it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from claude_flow.workspace.large_files import object_in
from tests.unit.workspace.conftest import Scene, git
from tests.unit.workspace.traps import TRAPS, Trap, lfs_configuration, nested_repository


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("with_lfs", [False, True], ids=["plain", "lfs"])
async def test_nothing_that_an_agent_configures_runs(
    scene: Scene, trap: Trap, *, with_lfs: bool
) -> None:
    scene.change(lfs=lambda: with_lfs)
    workspace = await scene.prepare()
    (workspace.path / "src/main.py").write_text("print(2)\n")
    sprung = scene.directory / "sprung"
    command = scene.directory / "trap.sh"
    command.write_text(f"#!/bin/sh\necho sprung >> {sprung}\ncat\n")
    command.chmod(0o755)

    trap(workspace, str(command))
    sprung.unlink(missing_ok=True)  # git in the agent's hands may well have run it
    changes = await scene.collect(workspace)
    assert changes is not None
    await scene.push(workspace, changes)
    second = await scene.prepare(carry_on=True)  # the next attempt
    await scene.workspaces.remove("r-1")

    assert not sprung.exists()
    assert second.base == workspace.base
    if with_lfs and trap is lfs_configuration:
        content = object_in(scene.server, sha256(b"print(2)\n").hexdigest())
    else:
        content = scene.directory / "content"
        content.write_text(git("show", f"{changes.commit}:src/main.py", cwd=scene.server) + "\n")
    assert content.read_text() == "print(2)\n"


async def test_the_traps_of_this_test_do_spring(scene: Scene) -> None:
    workspace = await scene.prepare()
    sprung = scene.directory / "sprung"
    command = scene.directory / "trap.sh"
    command.write_text(f"#!/bin/sh\necho sprung >> {sprung}\ncat\n")
    command.chmod(0o755)

    nested_repository(workspace, str(command))
    sprung.unlink(missing_ok=True)
    git("status", cwd=workspace.path / "vendored")

    assert sprung.exists()


async def test_a_submodules_configuration_does_not_run(scene: Scene) -> None:
    submodule = scene.directory / "submodule.git"
    git("clone", "-q", "--bare", str(scene.server), str(submodule), cwd=scene.directory)

    def add_submodule(clone: Path) -> None:
        git("submodule", "--quiet", "add", str(submodule), "lib", cwd=clone)

    scene.publish(add_submodule)
    workspace = await scene.prepare()
    sprung = scene.directory / "sprung"
    git("clone", "-q", str(submodule), str(workspace.path / "lib"), cwd=workspace.path)
    (workspace.path / "lib/README.md").write_text("# WIDGETS\n")
    git("config", "core.fsmonitor", f"touch {sprung}; false", cwd=workspace.path / "lib")
    git("config", "filter.evil.clean", f"touch {sprung}; cat", cwd=workspace.path / "lib")
    (workspace.path / "lib/.gitattributes").write_text("* filter=evil\n")

    changes = await scene.collect(workspace)

    assert changes is None
    assert not sprung.exists()
