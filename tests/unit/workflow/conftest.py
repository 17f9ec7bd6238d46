"""The scene of an attempt, for all tests of the workflow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.workflow.attempt_scene import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    scene.launch()
    yield scene
    scene.engine.close(grace_seconds=0)
