"""The memory and git itself: one `GitSide`."""

from pathlib import Path

import pytest

from claude_flow.testing.git_side import Changes, GitSide, MemoryGit
from claude_flow.testing.git_store import GitStore

NAME = "octo/widgets"


@pytest.fixture(params=["git", "memory"])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> GitSide:
    side: GitSide = MemoryGit() if request.param == "memory" else GitStore(tmp_path)
    side.create(NAME, {"a.py": "x = 1\n"}, "main")
    return side


def test_a_new_branch_begins_at_the_default_one(side: GitSide) -> None:
    commit = side.commit(NAME, "work", {"b/ö.py": "y\n"}, "Add b", author="ada")
    assert side.branches(NAME) == {"main": side.branches(NAME)["main"], "work": commit}
    assert side.files(NAME, "work") == {"a.py": "x = 1\n", "b/ö.py": "y\n"}
    assert side.files(NAME, "main") == {"a.py": "x = 1\n"}
    assert (side.ahead(NAME, "main", "work"), side.ahead(NAME, "work", "main")) == (1, 0)


def test_branches_part(side: GitSide) -> None:
    side.commit(NAME, "work", {"b.py": "y\n"}, "Add b", author="ada")
    side.commit(NAME, "work", {"b.py": "z\n"}, "Change b", author="ada")
    side.commit(NAME, "main", {"c.py": "z\n"}, "Add c", author="ada")
    assert (side.ahead(NAME, "main", "work"), side.ahead(NAME, "work", "main")) == (2, 1)


def test_a_change_has_a_size(side: GitSide) -> None:
    side.commit(NAME, "work", {"a.py": "x = 2\ny = 3\n", "b.py": "z\n"}, "Change", author="ada")
    side.commit(NAME, "main", {"c.py": "z\n"}, "Add c", author="ada")
    assert side.changes(NAME, "main", "work") == Changes(files=2, additions=3, deletions=1)


def test_a_moved_repository_keeps_its_branches(side: GitSide) -> None:
    before = side.branches(NAME)
    side.move(NAME, "other/gadgets")
    assert side.branches("other/gadgets") == before


def test_an_empty_repository_has_no_branches(side: GitSide) -> None:
    side.create("octo/empty", {}, "trunk")
    assert side.branches("octo/empty") == {}
    side.commit("octo/empty", "trunk", {"a": "1"}, "Begin", author="ada")
    assert set(side.branches("octo/empty")) == {"trunk"}
