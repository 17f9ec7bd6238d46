"""An installation's name is made once, whoever else begins at the same moment."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from claude_flow.engine.host import host_id
from claude_flow.errors import EngineError


def test_an_installation_keeps_its_name(tmp_path: Path) -> None:
    first = host_id(tmp_path / "new" / "state")
    assert first
    assert host_id(tmp_path / "new" / "state", lambda: "another") == first


def test_two_that_begin_at_once_agree_on_a_name(tmp_path: Path) -> None:
    together = threading.Barrier(8)
    names: list[str] = []

    def begin(number: int) -> None:
        together.wait()
        names.append(host_id(tmp_path, lambda: f"name-{number}"))

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 8
    assert len(set(names)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["host-id"]


def test_a_state_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match=r"service\.state_directory") as raised:
        host_id(tmp_path / "file" / "state")
    assert str(tmp_path / "file" / "state") in str(raised.value)
