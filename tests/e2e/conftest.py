"""The real daemon as a process before a stand-in GitHub whose every exchange is checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_flow.testing.checked_world import checked_world
from claude_flow.testing.installation import Installation
from claude_flow.testing.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with checked_world(tmp_path / "world") as world:
        yield world


@pytest.fixture
def installation(world: World, tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path / "host", world) as installation:
        yield installation
