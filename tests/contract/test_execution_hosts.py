"""Attempts with a list of hosts: what their proxy does while they idle, and after their end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from claude_flow.execution.local import LocalExecution, LocalSettings
from claude_flow.execution.sandbox import Network, Sandbox, SandboxMode, SandboxSettings
from claude_flow.ports import AgentCommand, Limits, ProcessEnded, Stop
from claude_flow.testing.attempts import AMPLE, Lines, first_task, ignore, until

TUNNEL = """
import os, socket, sys, time
def tunnel(target):
    way = socket.create_connection(("127.0.0.1", 61080))
    way.sendall(f"CONNECT {target} HTTP/1.1\\r\\n\\r\\n".encode())
    assert way.recv(4096).startswith(b"HTTP/1.1 200")
    return way
"""
HOLD = "ways = [tunnel(sys.argv[1]) for _ in range(20)]\nprint('up', flush=True)\ntime.sleep(600)\n"


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        listening.settimeout(20)
        yield listening


class Bench:
    """Attempts that reach ``server``."""

    def __init__(self, root: Path, server: socket.socket, network: Network = Network.HOSTS) -> None:
        self.target = f"127.0.0.1:{server.getsockname()[1]}"
        self.output = Lines()
        workspace = root / "workspace"
        workspace.mkdir()
        self.task = first_task(workspace, root / "scratch")
        settings = SandboxSettings(mode=SandboxMode.REQUIRED, network=network, hosts=(self.target,))
        self._execution = LocalExecution(
            LocalSettings(runs_directory=root / "runs", grace_seconds=2, poll_seconds=0.02),
            clock=lambda: datetime.now(UTC),
            sandbox=Sandbox(settings),
        )

    async def run(self, code: str, limits: Limits = AMPLE) -> ProcessEnded:
        return await self.start((sys.executable, "-c", TUNNEL + code, self.target), limits)

    async def start(self, argv: tuple[str, ...], limits: Limits = AMPLE) -> ProcessEnded:
        return await self._execution.run(
            self.task, AgentCommand(argv, {"KEPT": "yes"}, "", {}), limits, self.output, ignore
        )


@pytest.fixture
def bench(tmp_path: Path, server: socket.socket) -> Bench:
    return Bench(tmp_path, server)


def runners() -> list[psutil.Process]:
    """The processes around attempts: the outer one, which guards, and the one that watches."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if any("claude_flow.execution.main" in word for word in process.cmdline())
    ]


def complaints(root: Path) -> list[str]:
    """What every ``claude-flow-run`` complained of."""
    return [path.read_text() for path in root.rglob("runner.log")]


def accept_all(server: socket.socket) -> list[socket.socket]:
    accepted = [server.accept()[0] for _ in range(20)]
    for connection in accepted:
        connection.settimeout(20)
    return accepted


async def test_idle_connections_keep_nothing_from_stalling(
    bench: Bench, server: socket.socket
) -> None:
    limits = Limits(timeout_seconds=60, stall_timeout_seconds=4)
    ended = await bench.run(HOLD, limits)
    assert bench.output.lines == ["up"]
    assert ended.stopped is Stop.STALLED
    for connection in accept_all(server):
        assert connection.recv(1) == b""
        connection.close()


async def test_a_proxy_that_idles_takes_next_to_no_time(
    bench: Bench, server: socket.socket
) -> None:
    run = asyncio.create_task(bench.run(HOLD))
    await until(lambda: "up" in bench.output.lines or run.done())
    accepted = await asyncio.to_thread(accept_all, server)
    (watch,) = [process for process in runners() if process.num_threads() > 20]
    before = watch.cpu_times()
    await asyncio.sleep(6)
    after = watch.cpu_times()
    # Twenty that the library itself looks after would take half a second.
    assert after.user + after.system - before.user - before.system < 0.2
    runners()[0].terminate()
    await run
    for connection in accepted:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("which", ["guard", "watch"])
async def test_the_proxy_ends_with_its_attempt(
    bench: Bench, server: socket.socket, which: str, number: signal.Signals
) -> None:
    run = asyncio.create_task(bench.run(HOLD))
    await until(lambda: "up" in bench.output.lines or run.done())
    accepted = await asyncio.to_thread(accept_all, server)
    guard, watch = sorted(runners(), key=lambda process: process.num_threads())
    os.kill((guard if which == "guard" else watch).pid, number)
    await run
    for connection in accepted:
        assert connection.recv(1) == b""
        connection.close()
    for process in (guard, watch):
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def test_it_outlives_the_agents_last_words(bench: Bench, server: socket.socket) -> None:
    code = """
import signal
def leave(*_):
    way.sendall(b"last words")
    time.sleep(.3)
    sys.exit(0)
way = tunnel(sys.argv[1])
signal.signal(signal.SIGTERM, leave)
print("up", flush=True)
while True: time.sleep(1)
"""
    run = asyncio.create_task(bench.run(code))
    await until(lambda: "up" in bench.output.lines or run.done())
    connection, _ = await asyncio.to_thread(server.accept)
    for process in runners():
        process.terminate()
    await run
    with connection:
        assert connection.recv(100) == b"last words"


async def test_the_agent_starts_as_it_does_without_a_proxy(
    bench: Bench, server: socket.socket, tmp_path: Path
) -> None:
    look = (
        "grep ^Sig /proc/self/status; ls /proc/self/fd; env | cut -d= -f1 | grep -vi proxy | sort"
    )
    (tmp_path / "other").mkdir()
    other = Bench(tmp_path / "other", server, Network.OPEN)
    for one in (bench, other):
        assert (await one.start(("/bin/sh", "-c", look))).exit_code == 0
    assert bench.output.lines == other.output.lines
    assert complaints(tmp_path) == ["", ""]
    assert "KEPT" in bench.output.lines
