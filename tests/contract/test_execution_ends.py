"""How real attempts end, without a sandbox, with one, and with one that has a proxy."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from claude_flow.execution.local import LocalExecution, LocalSettings
from claude_flow.execution.sandbox import Network, Sandbox, SandboxMode, SandboxSettings
from claude_flow.ports import AgentCommand, Limits, ProcessEnded, Stop
from claude_flow.testing.attempts import AMPLE, STOPS_ITS_WATCHER, Lines, first_task, until

# Leaves in order: asked to end, it takes a moment for its last words.
POLITE = """
import signal, sys, time
def leave(*_):
    time.sleep(.3)
    print("last words", flush=True)
    sys.exit(5)
signal.signal(signal.SIGTERM, leave)
print("up", flush=True)
while True: time.sleep(1)
"""
BACKGROUND = """
import subprocess
subprocess.Popen(["sleep", "600"], start_new_session=True)
print("done", flush=True)
"""
# Forked twice, with a session and an environment of its own, deaf to all that can be ignored.
DAEMONIZED = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        code = "import signal, time; signal.signal(15, 1); open('up', 'w'); time.sleep(600)"
        os.execve({python!r}, ["python", "-c", code], {{}})
    os._exit(0)
os.wait()
while not os.path.exists("up"): time.sleep(.01)
"""


class Bench:
    """One attempt in a workspace of its own."""

    def __init__(self, root: Path, sandbox: Sandbox | None) -> None:
        self.root = root
        self.output = Lines()
        workspace = root / "workspace"
        workspace.mkdir()
        self.task = first_task(workspace, root / "scratch")
        self._execution = LocalExecution(
            LocalSettings(
                runs_directory=root / "runs",
                grace_seconds=2,
                poll_seconds=0.02,
                overdue_seconds=1,
            ),
            clock=lambda: datetime.now(UTC),
            sandbox=sandbox,
        )

    async def run(self, code: str, limits: Limits = AMPLE) -> ProcessEnded:
        command = AgentCommand((sys.executable, "-c", code), {}, "", {})
        return await self._execution.run(
            self.task, command, limits, self.output, lambda _progress: None
        )

    def alive(self) -> list[psutil.Process]:
        """Processes that work in the workspace, and are no zombies."""
        found = []
        for process in psutil.process_iter():
            try:
                if Path(process.cwd()).is_relative_to(self.task.workspace):
                    found.append(process)
            except (psutil.Error, FileNotFoundError):
                continue
        return found


@pytest.fixture(params=[None, Network.OPEN, Network.HOSTS], ids=["bare", "sandboxed", "proxied"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if request.param is None:
        return Bench(tmp_path, None)
    settings = SandboxSettings(mode=SandboxMode.REQUIRED, network=request.param)
    return Bench(tmp_path, Sandbox(settings))


async def test_asked_to_end_it_may_say_its_last_words(bench: Bench) -> None:
    run = asyncio.create_task(bench.run(POLITE))
    await until(lambda: "up" in bench.output.lines or run.done())
    assert bench.alive() != []
    # What the daemon does when a run is cancelled or it has to go itself.
    (runner,) = [
        process
        for process in psutil.Process().children()
        if any("claude_flow.execution.main" in word for word in process.cmdline())
    ]
    runner.terminate()
    ended = await run
    assert bench.output.lines == ["up", "last words"]
    assert (ended.exit_code, ended.stopped) == (5, None)
    assert bench.alive() == []


async def test_its_time_is_up_also_where_it_stops_its_watcher(bench: Bench) -> None:
    """In the sandbox it sees no watcher, and is ended by it."""
    script = f"import os; os.execlp('sh', 'sh', '-c', {STOPS_ITS_WATCHER!r})"
    ended = await bench.run(script, Limits(timeout_seconds=2, stall_timeout_seconds=60))
    assert ended.stopped is Stop.TIMED_OUT
    assert bench.alive() == []


async def test_killed_by_a_signal_its_exit_code_says_so(bench: Bench) -> None:
    ended = await bench.run("import os; os.kill(os.getpid(), 9)")
    assert ended.exit_code == 128 + signal.SIGKILL


@pytest.mark.parametrize("code", [BACKGROUND, DAEMONIZED.format(python=sys.executable)])
async def test_nothing_outlives_its_success(bench: Bench, code: str) -> None:
    ended = await bench.run(code)
    assert ended.exit_code == 0, ended.stderr_tail
    assert bench.alive() == []


async def test_a_program_that_is_not_there(bench: Bench) -> None:
    ended = await bench.run("import os; os.execvp('no-such-program', ['x'])")
    assert ended.exit_code == 1
    bench.task.workspace.joinpath("script").write_text("#!/bin/sh\n")
    command = AgentCommand(("no-such-program",), {"PATH": os.environ["PATH"]}, "", {})
    ended = await bench._execution.run(
        bench.task, command, AMPLE, bench.output, lambda _progress: None
    )
    assert ended.exit_code == 127
    assert "no-such-program" in ended.stderr_tail


async def test_a_line_of_a_megabyte_arrives_whole(bench: Bench) -> None:
    ended = await bench.run("print('x' * 1_000_000)")
    assert ended.exit_code == 0
    assert [len(line) for line in bench.output.lines] == [1_000_000]
