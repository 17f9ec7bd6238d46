"""What is particular to attempts as child processes: their deaths, and their daemon's."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from claude_flow.errors import ExecutionError, LeaseLostError
from claude_flow.execution.lease import FileLease, since_boot
from claude_flow.execution.local import LocalExecution, LocalSettings
from claude_flow.ports import AgentCommand, AgentTask, Progress
from claude_flow.testing.attempts import AMPLE, RUN_ID, Lines, first_task, ignore, until

# A daemon that runs one attempt: its arguments are a directory and the agent's shell script.
DAEMON = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_local import AMPLE, Lines, execution_in, ignore, shell, task_in
root = Path(sys.argv[1])
asyncio.run(execution_in(root).run(task_in(root), shell(sys.argv[2]), AMPLE, Lines(), ignore))
"""


def execution_in(
    root: Path, *, stream_limit_bytes: int = 1_000_000, lease: FileLease | None = None
) -> LocalExecution:
    settings = LocalSettings(
        runs_directory=root / "runs",
        grace_seconds=0.5,
        poll_seconds=0.02,
        stream_limit_bytes=stream_limit_bytes,
        lease=lease,
    )
    return LocalExecution(settings, clock=lambda: datetime.now(UTC))


def task_in(root: Path) -> AgentTask:
    workspace = root / "workspace"
    workspace.mkdir(exist_ok=True)
    return first_task(workspace, root / "scratch")


def shell(script: str, **environment: str) -> AgentCommand:
    return AgentCommand(("sh", "-c", script), {"PATH": os.environ["PATH"], **environment}, "", {})


def attempt_directory(root: Path) -> Path:
    return root / "runs" / RUN_ID / "1"


def alive_under(workspace: Path) -> list[psutil.Process]:
    """Processes that work in the attempt's workspace, and are no zombies."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(workspace):
                found.append(process)
        except (psutil.Error, FileNotFoundError):
            continue
    return found


def has_said(root: Path, word: str) -> Callable[[], bool]:
    log = attempt_directory(root) / "stdout.log"
    return lambda: log.exists() and word in log.read_text()


STUBBORN = "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo up; while :; do sleep 0.1; done'"


async def test_cancelled_twice_it_still_leaves_nothing(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    run = asyncio.create_task(
        execution_in(tmp_path).run(task, shell(STUBBORN), AMPLE, Lines(), ignore)
    )
    await until(has_said(tmp_path, "up"))
    run.cancel()
    await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert alive_under(task.workspace) == []


async def test_without_its_hosts_lease_it_ends_and_is_no_attempt(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    lease = FileLease(tmp_path / "lease")
    execution = execution_in(tmp_path, lease=lease)
    with pytest.raises(LeaseLostError):
        await execution.run(task, shell("echo up"), AMPLE, Lines(), ignore)
    assert not has_said(tmp_path, "up")()
    lease.renew(since_boot() + 600)
    run = asyncio.create_task(execution.run(task, shell(STUBBORN), AMPLE, Lines(), ignore))
    await until(has_said(tmp_path, "up"))
    lease.revoke()
    with pytest.raises(LeaseLostError, match="another may take its runs over"):
        await run
    assert alive_under(task.workspace) == []


async def test_cancelled_at_its_very_start_it_leaves_nothing(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    for turns in range(0, 40, 4):
        run = asyncio.create_task(
            execution_in(tmp_path).run(task, shell("sleep 600"), AMPLE, Lines(), ignore)
        )
        for _ in range(turns):
            await asyncio.sleep(0.005)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert alive_under(task.workspace) == []


def start_daemon(root: Path, script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", DAEMON, str(root), script, str(Path(__file__).parent)]
    )


def start_stranger(run_id: str, workspace: Path) -> subprocess.Popen[bytes]:
    marker = {"CLAUDE_FLOW_RUN_ID": run_id, "CLAUDE_FLOW_WORKSPACE": str(workspace)}
    return subprocess.Popen(["/bin/sleep", "600"], cwd=workspace, env=marker)


async def test_a_killed_daemon_takes_its_agents_along(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    with start_daemon(tmp_path, STUBBORN) as daemon:
        await until(has_said(tmp_path, "up"))
        daemon.kill()
    await until(lambda: alive_under(task.workspace) == [])


async def test_the_next_start_ends_what_daemon_and_runner_left(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with start_daemon(tmp_path, "echo up; exec sleep 600") as daemon:
        await until(has_said(tmp_path, "up"))
        (agent,) = alive_under(task.workspace)
        supervisor, guard = agent.parents()[:2]
        for process in (supervisor, guard):
            process.suspend()  # so that it cannot see another's end before its own
        daemon.kill()
        for process in (supervisor, guard):
            process.kill()
    assert alive_under(task.workspace) == [agent]
    stranger = start_stranger(task.run_id, other)
    try:
        lines = Lines()
        await execution_in(tmp_path).run(task, shell("echo anew"), AMPLE, lines, ignore)
        assert alive_under(task.workspace) == []
        assert lines.lines == ["anew"]
        assert stranger.poll() is None  # the same id, but another installation's
    finally:
        stranger.kill()
        stranger.wait()
    assert (attempt_directory(tmp_path) / "stdout.log").read_text() == "up\nanew\n"


async def test_a_killed_runner_is_told_and_its_agent_ended(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    run = asyncio.create_task(
        execution_in(tmp_path).run(task, shell("echo up; sleep 600"), AMPLE, Lines(), ignore)
    )
    await until(has_said(tmp_path, "up"))
    runner = psutil.Process(alive_under(task.workspace)[0].pid)
    while runner.cwd() != "/":
        parent = runner.parent()
        assert parent is not None
        runner = parent
    runner.kill()
    ended = await run
    assert (ended.exit_code, ended.stopped) == (128 + signal.SIGKILL, None)
    assert alive_under(task.workspace) == []


async def test_what_stays_in_the_background_ends_with_the_run(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    ended = await execution_in(tmp_path).run(
        task, shell("nohup sleep 600 >/dev/null 2>&1 & echo done"), AMPLE, Lines(), ignore
    )
    assert ended.exit_code == 0
    assert alive_under(task.workspace) == []


async def test_values_of_the_environment_are_in_no_file_and_no_argv(tmp_path: Path) -> None:
    secret = "sk-ant-made-up-0123456789"
    script = "tr '\\0' ' ' < /proc/$PPID/cmdline; test -n \"$ANTHROPIC_API_KEY\" && echo given"
    lines = Lines()
    await execution_in(tmp_path).run(
        task_in(tmp_path), shell(script, ANTHROPIC_API_KEY=secret), AMPLE, lines, ignore
    )
    assert lines.lines[-1].endswith("given")
    for file in (tmp_path / "runs").rglob("*"):
        assert not file.is_file() or secret not in file.read_text()


async def test_files_and_directories_are_there_before_the_start(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    program, data = task.scratch / "bin" / "program", task.scratch / "data"
    command = AgentCommand(
        argv=(str(program),),
        environment={"PATH": os.environ["PATH"]},
        stdin="the prompt \udcff",
        files={program: f"#!/bin/sh\ncat - {data}\nls -d {task.scratch}/tmp\n", data: "data\n"},
        executable=frozenset({program}),
        directories=(task.scratch / "tmp",),
    )
    lines = Lines()
    await execution_in(tmp_path).run(task, command, AMPLE, lines, ignore)
    assert lines.lines == ["the prompt ?data", f"{task.scratch}/tmp"]
    assert not os.access(data, os.X_OK) or os.geteuid() == 0
    assert data.stat().st_mode & 0o111 == 0


async def test_each_part_of_an_attempt_keeps_its_files_apart(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    execution = execution_in(tmp_path)
    await execution.run(task, shell("echo worked"), AMPLE, Lines(), ignore)
    check = replace(task, part="check-1")
    ended = await execution.run(check, shell("echo checked; exit 3"), AMPLE, Lines(), ignore)
    assert ended.exit_code == 3
    directory = attempt_directory(tmp_path)
    assert (directory / "stdout.log").read_text() == "worked\n"
    assert (directory / "check-1" / "stdout.log").read_text() == "checked\n"


async def test_throw_away_directories_are_empty_before_and_gone_after(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    temporary = tmp_path / "scratch" / "tmp"
    (temporary / "left by an earlier daemon").mkdir(parents=True)
    script = f"ls {temporary}; cd {temporary} && mkdir -p a/b && touch a/b/c && ln -s {kept} l"
    command = AgentCommand(
        ("sh", "-c", f"{script}; chmod 0500 a/b a; chmod 0 a/b"),
        {"PATH": os.environ["PATH"]},
        "",
        {},
        directories=(temporary,),
    )
    lines = Lines()
    await execution_in(tmp_path).run(task_in(tmp_path), command, AMPLE, lines, ignore)
    assert lines.lines == []
    assert not temporary.exists()
    assert (kept / "file").exists()


async def test_long_and_broken_lines_arrive(tmp_path: Path) -> None:
    script = "head -c 400000 /dev/zero | tr '\\0' x; printf '\\n\\377\\nno end'"
    lines = Lines()
    await execution_in(tmp_path).run(task_in(tmp_path), shell(script), AMPLE, lines, ignore)
    assert [len(line) for line in lines.lines] == [400_000, 1, 6]
    assert lines.lines[1:] == ["\ufffd", "no end"]


async def test_a_flood_is_cut_but_its_last_words_are_heard(tmp_path: Path) -> None:
    script = "yes | head -c 9000000; echo; echo the last words"
    lines = Lines()
    execution = execution_in(tmp_path, stream_limit_bytes=10_000)
    await execution.run(task_in(tmp_path), shell(script), AMPLE, lines, ignore)
    assert lines.lines[-1] == "the last words"
    assert any("bytes dropped here, over the limit of 10000" in line for line in lines.lines)
    assert (attempt_directory(tmp_path) / "stdout.log").stat().st_size < 2_200_000


def test_works_in_the_loop_of_another_thread(tmp_path: Path) -> None:
    lines = Lines()

    def work() -> None:
        asyncio.run(
            execution_in(tmp_path).run(task_in(tmp_path), shell("echo hi"), AMPLE, lines, ignore)
        )

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert lines.lines == ["hi"]


async def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(ExecutionError, match="could not prepare attempt 1 of widgets-7"):
        await execution_in(tmp_path).run(task, shell("true"), AMPLE, Lines(), ignore)


async def test_an_error_of_the_listener_ends_the_agent(tmp_path: Path) -> None:
    task = task_in(tmp_path)

    def refuse(_: Progress) -> None:
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        await execution_in(tmp_path).run(task, shell("echo up; sleep 600"), AMPLE, Lines(), refuse)
    assert alive_under(task.workspace) == []
