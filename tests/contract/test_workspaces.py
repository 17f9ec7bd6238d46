"""Real git against a real git server, and the fake, through the same cases."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from claude_flow.errors import (
    CommittedFileError,
    PushRejectedError,
    WorkspaceError,
    WorkspaceGoneError,
)
from claude_flow.execution.processes import ProcessRunner
from claude_flow.model.issue import Repository
from claude_flow.ports import Workspaces
from claude_flow.testing.fake_workspaces import FakeGitServer, FakeWorkspaces
from claude_flow.testing.world import World
from claude_flow.workspace import Credential, GitWorkspaces, WorkspaceSettings

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
BRANCH = "claude-flow/issue-7"
WIDGETS = Repository("octo", "widgets")
FILES = {"README.md": "# widgets\n", "src/main.py": "print(1)\n"}


class Server(Protocol):
    def add(self, repository: Repository, files: Mapping[str, str]) -> None: ...

    def commit(self, repository: Repository, branch: str, files: Mapping[str, str]) -> str: ...

    def files(self, repository: Repository, branch: str) -> dict[str, str]: ...

    def branches(self, repository: Repository) -> dict[str, str]: ...

    def protect(self, repository: Repository, branch: str) -> None: ...


@dataclass
class RealServer:
    world: World

    def add(self, repository: Repository, files: Mapping[str, str]) -> None:
        self.world.github.add_repository(repository, files=files, private=True)

    def commit(self, repository: Repository, branch: str, files: Mapping[str, str]) -> str:
        return self.world.github.commit(repository, branch, files)

    def files(self, repository: Repository, branch: str) -> dict[str, str]:
        return self.world.github.files(repository, branch)

    def branches(self, repository: Repository) -> dict[str, str]:
        return self.world.github.branches(repository)

    def protect(self, repository: Repository, branch: str) -> None:
        self.world.github.protect_branch(repository, branch)


@dataclass
class PretendedServer:
    fake: FakeGitServer

    def add(self, repository: Repository, files: Mapping[str, str]) -> None:
        self.fake.seed(repository, files)

    def commit(self, repository: Repository, branch: str, files: Mapping[str, str]) -> str:
        return self.fake.seed(repository, files, branch)

    def files(self, repository: Repository, branch: str) -> dict[str, str]:
        return self.fake.files(repository, branch)

    def branches(self, repository: Repository) -> dict[str, str]:
        return dict(self.fake.branches[repository])

    def protect(self, repository: Repository, branch: str) -> None:
        self.fake.protected.add((repository, branch))


@dataclass
class Case:
    workspaces: Workspaces
    server: Server


@pytest.fixture(params=["git", "fake"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    if request.param == "fake":
        fake = FakeWorkspaces(tmp_path / "workspaces")
        case = Case(fake, PretendedServer(fake.server))
        case.server.add(WIDGETS, FILES)
        yield case
        return
    with World(tmp_path / "world") as world:
        settings = WorkspaceSettings(
            repos_directory=tmp_path / "state/repos",
            runs_directory=tmp_path / "state/runs",
            workspace_root=tmp_path / "workspaces",
            git_base_url=world.git_base_url,
            credential=lambda: Credential("x-access-token", world.token),
            host_environment=os.environ,
            author_name="claude-flow",
            author_email="claude-flow@example.com",
        )
        case = Case(GitWorkspaces(settings, ProcessRunner()), RealServer(world))
        case.server.add(WIDGETS, FILES)
        yield case


async def test_a_new_workspace_holds_the_branch_it_starts_from(case: Case) -> None:
    workspace = await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")

    assert workspace.run_id == "r-1"
    assert workspace.base == case.server.branches(WIDGETS)["main"]
    assert workspace.published is None
    assert (workspace.path / "src/main.py").read_text() == "print(1)\n"


async def test_preparing_again_starts_clean(case: Case) -> None:
    first = await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    (first.path / "README.md").write_text("spoiled")
    (first.path / "left.txt").write_text("behind")

    second = await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")

    assert second == first
    assert (second.path / "README.md").read_text() == "# widgets\n"
    assert not (second.path / "left.txt").exists()


async def test_carrying_on_keeps_what_was_left_and_its_base(case: Case) -> None:
    first = await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    (first.path / "README.md").unlink()
    (first.path / "left.txt").write_text("behind")
    case.server.commit(WIDGETS, "main", {"new.txt": "new"})

    second = await case.workspaces.prepare(
        "r-1", WIDGETS, branch=BRANCH, start_from="main", carry_on=True
    )

    assert (second.base, second.carries_on) == (first.base, True)
    assert not (second.path / "README.md").exists()
    changes = await case.workspaces.collect(second, WIDGETS, message="m", at=AT)
    assert changes is not None
    assert changes.paths == ("README.md", "left.txt")


async def test_carrying_on_with_nothing_starts_clean(case: Case) -> None:
    await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    pushed = case.server.commit(WIDGETS, "main", {"new.txt": "new"})

    for run_id in ("r-1", "r-new"):
        workspace = await case.workspaces.prepare(
            run_id, WIDGETS, branch=BRANCH, start_from="main", carry_on=True
        )
        assert (workspace.base, workspace.carries_on) == (pushed, False)


async def test_a_new_commit_on_the_server_is_where_the_next_run_starts(case: Case) -> None:
    await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    pushed = case.server.commit(WIDGETS, "main", {"new.txt": "new"})

    workspace = await case.workspaces.prepare("r-2", WIDGETS, branch=BRANCH, start_from="main")

    assert workspace.base == pushed
    assert (workspace.path / "new.txt").read_text() == "new"


async def test_two_runs_do_not_see_each_other(case: Case) -> None:
    one = await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    two = await case.workspaces.prepare("r-2", WIDGETS, branch="other", start_from="main")
    (one.path / "one.txt").write_text("1")

    await case.workspaces.remove("r-1")

    assert not one.path.exists()
    assert (two.path / "README.md").exists()
    assert await case.workspaces.collect(two, WIDGETS, message="m", at=AT) is None


async def test_no_difference_is_no_change(case: Case) -> None:
    workspace = await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    (workspace.path / "README.md").write_text("# widgets\n")
    (workspace.path / "empty directory").mkdir()

    assert await case.workspaces.collect(workspace, WIDGETS, message="m", at=AT) is None


async def test_changes_reach_the_servers_branch_and_no_other(case: Case) -> None:
    workspace = await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    (workspace.path / "README.md").write_text("# Widgets\n")
    (workspace.path / "src/main.py").unlink()
    (workspace.path / "docs").mkdir()
    (workspace.path / "docs/über.md").write_text("neu\n")

    changes = await case.workspaces.collect(workspace, WIDGETS, message="Do it", at=AT)
    assert changes is not None
    await case.workspaces.push(workspace, WIDGETS, commit=changes.commit, branch=BRANCH)

    assert changes.files == 3
    assert set(changes.paths) == {"README.md", "src/main.py", "docs/über.md"}
    assert changes.lines == 4
    assert case.server.files(WIDGETS, BRANCH) == {
        "README.md": "# Widgets\n",
        "docs/über.md": "neu\n",
    }
    assert case.server.branches(WIDGETS) == {BRANCH: changes.commit, "main": workspace.base}


async def test_binary_files_count_no_lines(case: Case) -> None:
    workspace = await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    (workspace.path / "picture").write_bytes(b"\0\n\n\n")
    (workspace.path / "without-end").write_text("one\ntwo")

    changes = await case.workspaces.collect(workspace, WIDGETS, message="m", at=AT)

    assert changes is not None
    assert (changes.paths, changes.lines) == (("picture", "without-end"), 2)


async def test_the_same_content_message_and_moment_give_the_same_commit(case: Case) -> None:
    workspace = await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    (workspace.path / "a.txt").write_text("a")
    first = await case.workspaces.collect(workspace, WIDGETS, message="m", at=AT)

    assert await case.workspaces.collect(workspace, WIDGETS, message="m", at=AT) == first
    other = await case.workspaces.collect(workspace, WIDGETS, message="n", at=AT)
    assert other != first


async def test_pushing_twice_is_fine(case: Case) -> None:
    workspace = await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    (workspace.path / "a.txt").write_text("a")
    changes = await case.workspaces.collect(workspace, WIDGETS, message="m", at=AT)
    assert changes is not None

    for _ in range(2):
        await case.workspaces.push(workspace, WIDGETS, commit=changes.commit, branch=BRANCH)

    assert case.server.branches(WIDGETS)[BRANCH] == changes.commit


async def test_a_later_run_goes_on_with_the_published_branch(case: Case) -> None:
    published = case.server.commit(WIDGETS, BRANCH, {**FILES, "a.txt": "a"})

    workspace = await case.workspaces.prepare("r-2", WIDGETS, branch=BRANCH, start_from=BRANCH)
    (workspace.path / "b.txt").write_text("b")
    changes = await case.workspaces.collect(workspace, WIDGETS, message="m", at=AT)
    assert changes is not None
    await case.workspaces.push(workspace, WIDGETS, commit=changes.commit, branch=BRANCH)

    assert (workspace.base, workspace.published) == (published, published)
    assert changes.files == 1
    assert case.server.files(WIDGETS, BRANCH) == {**FILES, "a.txt": "a", "b.txt": "b"}


async def test_a_published_branch_may_be_begun_anew(case: Case) -> None:
    published = case.server.commit(WIDGETS, BRANCH, {**FILES, "a.txt": "a"})

    workspace = await case.workspaces.prepare("r-2", WIDGETS, branch=BRANCH, start_from="main")
    (workspace.path / "b.txt").write_text("b")
    changes = await case.workspaces.collect(workspace, WIDGETS, message="m", at=AT)
    assert changes is not None
    await case.workspaces.push(workspace, WIDGETS, commit=changes.commit, branch=BRANCH)

    assert workspace.published == published
    assert case.server.files(WIDGETS, BRANCH) == {**FILES, "b.txt": "b"}


@pytest.mark.parametrize("published_before", [True, False])
async def test_a_branch_that_somebody_moved_is_left_alone(
    case: Case, *, published_before: bool
) -> None:
    if published_before:
        case.server.commit(WIDGETS, BRANCH, {**FILES, "a.txt": "a"})
    workspace = await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    (workspace.path / "b.txt").write_text("b")
    changes = await case.workspaces.collect(workspace, WIDGETS, message="m", at=AT)
    assert changes is not None
    theirs = case.server.commit(WIDGETS, BRANCH, {**FILES, "theirs.txt": "t"})

    with pytest.raises(PushRejectedError, match="somebody else moved"):
        await case.workspaces.push(workspace, WIDGETS, commit=changes.commit, branch=BRANCH)

    assert case.server.branches(WIDGETS)[BRANCH] == theirs


async def test_a_protected_branch_refuses(case: Case) -> None:
    case.server.protect(WIDGETS, BRANCH)
    workspace = await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    (workspace.path / "b.txt").write_text("b")
    changes = await case.workspaces.collect(workspace, WIDGETS, message="m", at=AT)
    assert changes is not None

    with pytest.raises(PushRejectedError, match=r"(?i)protected"):
        await case.workspaces.push(workspace, WIDGETS, commit=changes.commit, branch=BRANCH)

    assert BRANCH not in case.server.branches(WIDGETS)


async def test_a_missing_branch_is_named(case: Case) -> None:
    with pytest.raises(WorkspaceError, match="octo/widgets has no branch 'master'"):
        await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="master")


async def test_a_missing_repository_is_named(case: Case) -> None:
    with pytest.raises(WorkspaceError, match="octo/nothing"):
        await case.workspaces.prepare(
            "r-1", Repository("octo", "nothing"), branch=BRANCH, start_from="main"
        )


async def test_an_empty_repository_is_named(case: Case) -> None:
    empty = Repository("octo", "empty")
    case.server.add(empty, {})

    with pytest.raises(WorkspaceError, match="octo/empty is empty"):
        await case.workspaces.prepare("r-1", empty, branch=BRANCH, start_from="main")


async def test_removing_is_fine_again_and_before(case: Case) -> None:
    workspace = await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")

    await case.workspaces.remove("r-1")
    await case.workspaces.remove("r-1")
    await case.workspaces.remove("never-was")

    assert not workspace.path.exists()
    with pytest.raises(WorkspaceGoneError, match="gone"):
        await case.workspaces.collect(workspace, WIDGETS, message="m", at=AT)


async def test_a_file_is_read_as_the_servers_branch_has_it(case: Case) -> None:
    workspace = await case.workspaces.prepare("r-1", WIDGETS, branch=BRANCH, start_from="main")
    (workspace.path / "README.md").write_text("the agent's")

    async def read(path: str, max_bytes: int = 100) -> bytes | None:
        return await case.workspaces.committed_file(WIDGETS, "main", path, max_bytes=max_bytes)

    assert await read("README.md") == b"# widgets\n"
    assert await read("src/main.py") == b"print(1)\n"
    assert await read("other.md") is None
    assert await read("*.md") is None
    with pytest.raises(CommittedFileError, match="is a directory"):
        await read("src")
    with pytest.raises(CommittedFileError, match="10 bytes"):
        await read("README.md", max_bytes=9)
