"""What an agent of another user closed, and no unit's end opened again, is removed all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from claude_flow.errors import ProcessError, WorkspaceError
from claude_flow.execution.processes import ProcessRunner
from claude_flow.ports import Completed
from claude_flow.workspace import GitWorkspaces, WorkspaceStorage
from tests.unit.workspace.conftest import Scene


class Host:
    """Programs of a host where some directories are another user's, who closed them.

    Tests run as root, whom nothing is closed to.
    """

    def __init__(self) -> None:
        self.closed: set[Path] = set()
        self.opened: list[tuple[str, Path]] = []
        self.is_stuck = False
        self._runner = ProcessRunner()

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: bytes | None = None,
        pass_fds: Sequence[int] = (),
        timeout_seconds: float,
    ) -> Completed:
        if argv[0] == "rm" and Path(argv[-1]) in self.closed:
            return Completed(1, b"", b"rm: cannot remove 'deep': Permission denied")
        return await self._runner.run(
            argv,
            cwd=cwd,
            env=env,
            stdin=stdin,
            pass_fds=pass_fds,
            timeout_seconds=timeout_seconds,
        )

    async def release(self, run_id: str, directory: Path) -> None:
        self.opened.append((run_id, directory))
        if self.is_stuck:
            raise ProcessError("there is no such unit")
        self.closed.discard(directory)


@pytest.fixture
def host() -> Host:
    return Host()


async def test_a_workspace_goes(scene: Scene, host: Host) -> None:
    workspace = await scene.prepare()
    host.closed.add(workspace.path)
    await GitWorkspaces(scene.settings, host, None, host.release).remove(workspace.run_id)
    assert host.opened == [(workspace.run_id, workspace.path)]
    assert not workspace.path.exists()


async def test_what_is_left_of_a_run_goes(scene: Scene, host: Host) -> None:
    workspace = await scene.prepare()
    directory = scene.settings.runs_directory / workspace.run_id
    host.closed.add(directory)
    await WorkspaceStorage(scene.settings, host, host.release).remove_run(workspace.run_id)
    assert host.opened == [(workspace.run_id, directory)]
    assert not directory.exists()


async def test_what_cannot_be_opened_is_told(scene: Scene, host: Host) -> None:
    workspace = await scene.prepare()
    host.closed.add(workspace.path)
    host.is_stuck = True
    with pytest.raises(WorkspaceError, match=r"could not delete .*Permission denied"):
        await GitWorkspaces(scene.settings, host, None, host.release).remove(workspace.run_id)


async def test_where_the_agent_is_no_other_user_nobody_is_asked(scene: Scene, host: Host) -> None:
    workspace = await scene.prepare()
    host.closed.add(workspace.path)
    with pytest.raises(WorkspaceError, match="could not delete"):
        await GitWorkspaces(scene.settings, host).remove(workspace.run_id)
    assert host.opened == []
