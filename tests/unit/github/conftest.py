"""A session on a stand-in GitHub whose every exchange is checked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_flow.github import ApiSession
from claude_flow.model.issue import Repository
from claude_flow.testing.checked_world import checked_world
from claude_flow.testing.clock import FakeClock
from claude_flow.testing.world import World

WIDGETS = Repository("octo", "widgets")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world(tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    with checked_world(tmp_path / "world", clock=clock) as world:
        world.github.add_repository(WIDGETS)
        yield world


@pytest.fixture
def session(world: World, clock: FakeClock) -> ApiSession:
    return ApiSession(world.api_url, lambda: world.token, clock=clock, monotonic=time.monotonic)
