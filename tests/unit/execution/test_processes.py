import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from claude_flow.errors import ProcessError, ProcessTimedOutError
from claude_flow.execution.processes import ProcessRunner

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def is_gone(pid: int) -> bool:
    """Whether the process ends within 5 seconds."""
    for _ in range(500):
        if not is_running(pid):
            return True
        await asyncio.sleep(0.01)
    return False


def written(file: Path) -> str:
    text = file.read_text() if file.exists() else ""
    return text if text.endswith("\n") else ""


async def pid_in(file: Path) -> int:
    for _ in range(1000):
        if text := written(file):
            return int(text)
        await asyncio.sleep(0.01)
    raise AssertionError(f"{file} never came")


async def test_gives_exit_code_and_both_streams(tmp_path: Path) -> None:
    completed = await ProcessRunner().run(
        ["sh", "-c", "cat; echo oops >&2; exit 3"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdin=b"\xff\x00text",
        timeout_seconds=20,
    )
    assert completed.exit_code == 3
    assert completed.stdout == b"\xff\x00text"
    assert completed.stderr == b"oops\n"


async def test_inherits_no_environment_and_no_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    completed = await ProcessRunner().run(
        ["env"], cwd=tmp_path, env={**ENVIRONMENT, "ONLY": "this"}, timeout_seconds=20
    )
    assert b"ONLY=this" in completed.stdout
    assert b"hunter2" not in completed.stdout
    silent = await ProcessRunner().run(["cat"], cwd=tmp_path, env=ENVIRONMENT, timeout_seconds=20)
    assert silent.stdout == b""


async def test_passes_open_files_on(tmp_path: Path) -> None:
    descriptor = os.memfd_create("given", 0)
    try:
        os.write(descriptor, b"through the descriptor")
        os.lseek(descriptor, 0, os.SEEK_SET)
        completed = await ProcessRunner().run(
            ["cat", f"/proc/self/fd/{descriptor}"],
            cwd=tmp_path,
            env=ENVIRONMENT,
            pass_fds=[descriptor],
            timeout_seconds=20,
        )
    finally:
        os.close(descriptor)
    assert completed.stdout == b"through the descriptor"


async def test_a_time_out_ends_the_whole_group(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 600 & echo $! > child; wait; sleep 600"
    with pytest.raises(ProcessTimedOutError, match=r"sh was not done after 0\.3 s"):
        await ProcessRunner(grace_seconds=0.1).run(
            ["sh", "-c", script], cwd=tmp_path, env=ENVIRONMENT, timeout_seconds=0.3
        )
    assert await is_gone(await pid_in(tmp_path / "child"))


async def test_a_cancelled_call_leaves_nothing(tmp_path: Path) -> None:
    call = asyncio.create_task(
        ProcessRunner().run(
            ["sh", "-c", "sleep 600 & echo $! > child; wait"],
            cwd=tmp_path,
            env=ENVIRONMENT,
            timeout_seconds=600,
        )
    )
    child = await pid_in(tmp_path / "child")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await is_gone(child)


@pytest.mark.parametrize("turns", range(12))
async def test_a_call_cancelled_while_it_starts_leaves_nothing(tmp_path: Path, turns: int) -> None:
    call = asyncio.create_task(
        ProcessRunner().run(
            ["sh", "-c", "echo $$ > parent; sleep 600 & echo $! > child; wait"],
            cwd=tmp_path,
            env=ENVIRONMENT,
            timeout_seconds=600,
        )
    )
    for _ in range(turns):
        await asyncio.sleep(0)
    if turns % 2:
        # asyncio has not told yet that it runs, but it does: what it started must end too.
        time.sleep(0.1)  # noqa: ASYNC251 - the loop is held up on purpose
    call.cancel()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 20)
    for name in ("parent", "child"):
        if text := written(tmp_path / name):
            assert await is_gone(int(text))


async def test_what_it_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    completed = await ProcessRunner().run(
        ["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        timeout_seconds=20,
    )
    assert await is_gone(int(completed.stdout))


async def test_a_signal_is_an_answer(tmp_path: Path) -> None:
    completed = await ProcessRunner().run(
        ["sh", "-c", "kill -KILL $$"], cwd=tmp_path, env=ENVIRONMENT, timeout_seconds=20
    )
    assert completed.exit_code == -signal.SIGKILL


@pytest.mark.parametrize(
    ("argv", "directory", "blamed"),
    [(["no-such-program"], ".", "program no-such-program"), (["true"], "missing", "directory")],
)
async def test_says_what_could_not_be_started(
    tmp_path: Path, argv: list[str], directory: str, blamed: str
) -> None:
    with pytest.raises(ProcessError, match=blamed):
        await ProcessRunner().run(
            argv, cwd=tmp_path / directory, env=ENVIRONMENT, timeout_seconds=20
        )


def test_works_in_the_loop_of_another_thread(tmp_path: Path) -> None:
    async def run_true() -> int:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, lambda: asyncio.run(in_thread()))

    async def in_thread() -> int:
        completed = await ProcessRunner().run(
            ["true"], cwd=tmp_path, env=ENVIRONMENT, timeout_seconds=20
        )
        return completed.exit_code

    assert asyncio.run(run_true()) == 0
