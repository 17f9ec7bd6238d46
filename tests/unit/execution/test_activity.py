"""What real processes use, as a stall is judged by it."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from claude_flow.execution.activity import activity_below
from claude_flow.execution.limits import Activity, LimitWatch

# Each runs below another process, as an agent's tools do.
SLEEP = "sleep 60"
POLL = "while :; do sleep 1; done"
BUSY = "while :; do :; done"
BUILD = "while :; do sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'; done"
FIND = "while :; do find / -xdev >/dev/null 2>&1; done"
COPY = "while :; do head -c 4000000 /dev/zero > copied; sleep 0.2; done"


def until_stalled(
    script: str, root: Path, *, stall_seconds: float, patience: float
) -> float | None:
    """After how many seconds a watch over the real thing says that it stalls, None if never."""
    stand_in = [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])"]
    with subprocess.Popen([*stand_in, "sh", "-c", script], cwd=root) as program:
        begun = time.monotonic()
        watch = LimitWatch(now=begun, timeout_seconds=1e6, stall_timeout_seconds=stall_seconds)
        try:
            while (now := time.monotonic()) < begun + patience:
                if watch.wants_to_see(now):
                    watch.saw(now, activity_below(psutil.Process()))
                if watch.exceeded(now):
                    return now - begun
                time.sleep(min(watch.seconds_left(now), 0.1))
            return None
        finally:
            for process in psutil.Process(program.pid).children(recursive=True):
                process.kill()
            program.kill()


@pytest.mark.parametrize("script", [SLEEP, POLL])
def test_what_idles_stalls(tmp_path: Path, script: str) -> None:
    # Its start is work too, so a stall may come a window later than the first word.
    stalled = until_stalled(script, tmp_path, stall_seconds=3, patience=30)
    assert stalled is not None
    assert stalled >= 3


@pytest.mark.parametrize("script", [BUSY, BUILD, FIND, COPY])
def test_what_works_in_silence_does_not(tmp_path: Path, script: str) -> None:
    assert until_stalled(script, tmp_path, stall_seconds=1.5, patience=3.5) is None


@pytest.fixture
def below() -> Callable[[], Activity]:
    myself = psutil.Process()
    return lambda: activity_below(myself)


def test_what_has_ended_still_counts(below: Callable[[], Activity]) -> None:
    before = below()
    code = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert below().cpu_seconds - before.cpu_seconds > 0.25
