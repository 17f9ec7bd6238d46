"""``make demo``, without make: three issues, three pull requests, nothing left."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from claude_flow.testing.daemon_process import host_environment, until

_SECONDS = 180  # thirty are promised, on a machine that does nothing else


class Demo:
    """The demo as a process; its files are below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "out.txt"
        temporary = directory / "tmp"
        temporary.mkdir()
        command = [sys.executable, "-m", "claude_flow.testing.demo", "--timeout", str(_SECONDS)]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                # As in a shell's background job, where only SIGTERM is left to end it.
                ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command],
                env={**host_environment(directory), "TMPDIR": str(temporary)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def daemon(self) -> psutil.Process | None:
        """The service that runs now."""
        for process in self.family():
            try:
                if "claude_flow.daemon.main" in process.cmdline():
                    return process
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return None

    def family(self) -> list[psutil.Process]:
        """Every process of the demo that lives, wherever it has gone."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            told = [process.cwd(), *process.cmdline(), *process.environ().values()]
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            return False
        return any(str(self.directory) in text for text in told)

    def wait(self) -> int:
        until(lambda: self.process.poll() is not None, lambda: self.said, _SECONDS + 30)
        return self.process.wait()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path)
    yield demo
    for process in demo.family():
        process.kill()
    demo.process.wait()


def assert_three_pull_requests(demo: Demo) -> None:
    code = demo.wait()
    assert code == 0, demo.said
    rows = re.findall(r"^(acme/\S+#\d+)\s+done\s+(http://\S+/pull/\d+)\s", demo.said, re.MULTILINE)
    assert len({issue for issue, _ in rows}) == 3, demo.said
    assert len({address for _, address in rows}) == 3
    assert "\x1b" not in demo.said
    assert demo.family() == []
    assert list((demo.directory / "tmp").iterdir()) == []


def test_the_demo_ends_with_three_pull_requests_and_leaves_nothing(demo: Demo) -> None:
    assert_three_pull_requests(demo)


def test_the_demo_outlives_its_daemon(demo: Demo) -> None:
    until(lambda: re.search(r"#1: running", demo.said), lambda: demo.said, _SECONDS)
    daemon = demo.daemon()
    assert daemon is not None
    daemon.kill()
    assert_three_pull_requests(demo)
    assert "killed (signal 9); started again" in demo.said


def test_an_interrupted_demo_leaves_nothing(demo: Demo) -> None:
    until(lambda: re.search(r"#1: running", demo.said), lambda: demo.said, _SECONDS)
    demo.process.terminate()
    assert demo.wait() == 130, demo.said
    assert "Traceback" not in demo.said
    assert demo.family() == []
    assert list((demo.directory / "tmp").iterdir()) == []
