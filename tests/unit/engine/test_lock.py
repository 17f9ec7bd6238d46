from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from claude_flow.engine.lock import StateLock
from claude_flow.errors import EngineError, StateInUseError


def test_the_holder_is_named(tmp_path: Path) -> None:
    holder = StateLock(tmp_path)
    holder.acquire(0.0)
    with pytest.raises(StateInUseError, match=rf"state\.lock .*\(pid {os.getpid()}\)"):
        StateLock(tmp_path).acquire(0.0)
    holder.release()
    holder.release()
    second = StateLock(tmp_path)
    second.acquire(0.0)
    second.release()


def test_it_waits_for_a_holder_that_is_ending(tmp_path: Path) -> None:
    holder = StateLock(tmp_path)
    holder.acquire(0.0)
    ending = threading.Timer(0.2, holder.release)
    ending.start()
    second = StateLock(tmp_path)
    second.acquire(10.0)
    second.release()
    ending.join()


def test_a_child_of_the_holder_does_not_keep_it(tmp_path: Path) -> None:
    holder = StateLock(tmp_path)
    holder.acquire(0.0)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
    ) as child:
        holder.release()
        second = StateLock(tmp_path)
        second.acquire(10.0)  # it has the file until it has become another program
        second.release()
        assert child.poll() is None
        child.kill()


def test_a_place_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"service\.state_directory"):
        StateLock(tmp_path / "missing").acquire(0.0)
