"""What an agent closed is opened again at its unit's end."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from claude_flow.execution.release import release


@pytest.mark.parametrize("mode", [0o000, 0o700, 0o1700, 0o2700, 0o3700])
def test_a_directory_is_opened_without_the_bits_that_are_in_the_way(
    tmp_path: Path, mode: int
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "file").touch(mode=0o600)
    closed.chmod(mode)
    release(tmp_path)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o770
    assert stat.S_IMODE((closed / "file").stat().st_mode) == 0o660
