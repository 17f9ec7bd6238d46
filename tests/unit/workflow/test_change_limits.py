"""Which changes are published and which are told to be beyond the limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.config import config_schema
from claude_flow.ports import Changes
from claude_flow.workflow.change_limits import ChangeLimits, why_unpublishable

DEFAULT = tuple(config_schema().settings["workflow.forbidden_paths"].default)


def why(*paths: str, lines: int = 1, **limits: object) -> str | None:
    bounds = {"forbidden_paths": DEFAULT, **limits}
    return why_unpublishable(Changes("c", paths, lines), ChangeLimits(**bounds))  # type: ignore[arg-type] # any field


@pytest.mark.parametrize(
    "path", [".github/workflows/ci.yml", ".github/workflows/deep/er.yml", ".github/workflows/a\nb"]
)
def test_workflows_are_forbidden_unless_told_otherwise(path: str) -> None:
    assert why("src/main.py", path) == (
        f"The change touches {path!r}, which workflow.forbidden_paths rules out "
        "('.github/workflows/**')."
    )
    assert why(path, forbidden_paths=()) is None


@pytest.mark.parametrize(
    "path", [".github/dependabot.yml", "docs/.github/workflows/ci.yml", ".github/workflows.md"]
)
def test_what_only_looks_like_a_workflow_is_free(path: str) -> None:
    assert why(path) is None


@pytest.mark.parametrize(
    ("pattern", "path", "forbidden"),
    [
        ("*.pem", "deep/down/key.pem", True),
        ("/*.pem", "deep/down/key.pem", False),
        ("infra/production/", "infra/production/a/b.tf", True),
        ("infra/*/main.tf", "infra/a/b/main.tf", False),
        ("infra/**/main.tf", "infra/a/b/main.tf", True),
        ("secrets", "secrets/a", True),
        ("Secrets", "secrets/a", False),
    ],
)
def test_patterns_are_those_of_gitignore(pattern: str, path: str, *, forbidden: bool) -> None:
    assert bool(why(path, forbidden_paths=(pattern,))) is forbidden


def test_many_paths_are_named_in_part() -> None:
    told = why(*(f".github/workflows/{number}.yml" for number in range(8)))
    assert told is not None
    assert told.count(".yml") == 5
    assert "and 3 more" in told


def test_sizes_are_told_with_their_settings() -> None:
    assert why("a", "b", max_files=2, lines=9, max_lines=9) is None
    assert why("a", "b", max_files=1, lines=9, max_lines=8) == (
        "The change has 2 files; workflow.max_changed_files allows 1. "
        "The change has 9 lines; workflow.max_changed_lines allows 8."
    )


_ITEM = config_schema().document["properties"]["workflow"]["properties"]["forbidden_paths"]["items"]


@given(st.from_regex(_ITEM["pattern"]), st.text(min_size=1))
def test_every_pattern_that_the_schema_allows_can_be_judged_by(pattern: str, path: str) -> None:
    why(path, forbidden_paths=(pattern,))


@given(st.text(st.characters(exclude_characters="/\0")), st.sampled_from(["/", "/a/"]))
def test_no_name_hides_below_a_forbidden_directory(name: str, between: str) -> None:
    assert why(f".github/workflows{between}{name or 'x'}") is not None
