"""Whatever a repository and an issue are called, their directories lie where they should."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from claude_flow.config import config_schema
from claude_flow.model.issue import IssueRef, Repository
from claude_flow.model.run import Trigger, TriggerKind, run_id
from claude_flow.workspace.mirror import lock_of
from claude_flow.workspace.places import Places, is_run_id
from claude_flow.workspace.settings import WorkspaceSettings

_LONGEST_NAME = 255  # bytes, of a name in a directory
PLACES = Places(
    WorkspaceSettings(
        repos_directory=Path("/state/repos"),
        runs_directory=Path("/state/runs"),
        workspace_root=Path("/workspaces"),
        git_base_url="https://git.example",
        credential=lambda: None,
        host_environment={},
        author_name="claude-flow",
        author_email="claude-flow@example.com",
    )
)
_PATTERN = config_schema().document["properties"]["github"]["properties"]["repositories"]["items"][
    "pattern"
]
REPOSITORIES = st.from_regex(_PATTERN, fullmatch=True).map(Repository.parse)
TRIGGERS = st.builds(Trigger, st.sampled_from(TriggerKind), st.text())


@given(REPOSITORIES, st.integers(1, 2**63), TRIGGERS)
def test_a_runs_directories_lie_below_their_roots(
    repository: Repository, number: int, trigger: Trigger
) -> None:
    name = run_id(IssueRef(repository, number), trigger)
    where = PLACES.run(name)
    assert where.path.parent == Path("/state/runs")
    assert where.workspace.parent == Path("/workspaces")
    for path in (*where.of_all_attempts, *where.path.parents):
        assert ".." not in path.parts
        assert not any(part.startswith("-") for part in path.parts)
        assert all(len(part.encode()) <= _LONGEST_NAME for part in path.parts)


@given(REPOSITORIES, REPOSITORIES)
def test_mirrors_and_their_locks_are_never_shared_by_two(one: Repository, two: Repository) -> None:
    ours, theirs = PLACES.mirror(one), PLACES.mirror(two)
    assert ours.parent.parent == Path("/state/repos")
    assert ".." not in ours.parts
    assert len(ours.name.encode()) <= _LONGEST_NAME
    assert lock_of(ours).parent == ours.parent
    assert (ours == theirs) is (str(one).lower() == str(two).lower())
    if ours != theirs:
        assert not {ours, lock_of(ours)} & {theirs, lock_of(theirs)}


@given(st.text())
def test_any_name_that_is_taken_for_a_run_is_one_plain_component(name: str) -> None:
    if is_run_id(name):
        assert Path("/x", name).parent == Path("/x")
        assert not name.startswith(("-", "."))
