"""The pages stay true: what they name and link to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCREENS = 2
LINES_PER_SCREEN = 45


def _named_paths() -> list[str]:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    found = re.findall(r"`([A-Za-z0-9_./-]+(?:/|\.(?:py|toml|json|md)))`", text)
    return sorted(set(found))


def test_it_names_paths() -> None:
    assert len(_named_paths()) > 30


@pytest.mark.parametrize("path", _named_paths())
def test_a_named_path_exists(path: str) -> None:
    candidates = [ROOT / path, ROOT / "claude_flow" / path, ROOT / "schemas" / path]
    assert any(candidate.exists() for candidate in candidates)


def test_every_room_is_named() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    package = ROOT / "claude_flow"
    rooms = [path.name for path in package.iterdir() if (path / "__init__.py").exists()]
    assert [room for room in rooms if f"`{room}/`" not in text] == []


def test_it_fits_two_screens() -> None:
    lines = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line]) <= SCREENS * LINES_PER_SCREEN


def _pages() -> list[Path]:
    rooms = ("docs", "ansible", "roles")
    return sorted(
        [*ROOT.glob("*.md"), *(page for room in rooms for page in (ROOT / room).rglob("*.md"))]
    )


def _local_links(page: Path) -> list[str]:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    return [link for link in links if "://" not in link]


def test_the_readme_has_links() -> None:
    assert _local_links(ROOT / "README.md")


@pytest.mark.parametrize("page", _pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in _local_links(page) if not (page.parent / link).exists()] == []


def test_the_index_has_every_page() -> None:
    docs = ROOT / "docs"
    linked = {(docs / link).resolve() for link in _local_links(docs / "README.md")}
    pages = {page for page in docs.rglob("*.md") if page != docs / "README.md"}
    assert pages
    assert pages - linked == set()
