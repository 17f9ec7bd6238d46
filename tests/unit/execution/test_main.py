"""``claude-flow-run`` as its own program."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from claude_flow.execution.lease import FileLease, since_boot
from claude_flow.execution.spec import LEASE_LOST, AttemptResult, AttemptSpec


def spec_of(
    tmp_path: Path, *argv: str, ends_with_stdin: bool = False, lease: Path | None = None
) -> AttemptSpec:
    (tmp_path / "prompt").write_text("the prompt\n")
    return AttemptSpec(
        argv=argv,
        environment=("PATH",),
        workspace=str(tmp_path),
        directory=str(tmp_path),
        timeout_seconds=60,
        stall_timeout_seconds=60,
        grace_seconds=2,
        stream_limit_bytes=1_000_000,
        ends_with_stdin=ends_with_stdin,
        lease=None if lease is None else str(lease),
    )


def start(spec: Path | str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "claude_flow.execution.main", str(spec)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "NOT_NAMED": "x"},
    )


def finish(program: subprocess.Popen[bytes]) -> str:
    _, complaints = program.communicate(timeout=30)
    return complaints.decode()


def wait_for_line(program: subprocess.Popen[bytes], log: Path) -> str:
    """The log's first line, once the agent has said it."""
    while program.poll() is None:
        text = log.read_text() if log.exists() else ""
        if text.endswith("\n"):
            return text.strip()
    raise AssertionError(f"ended before it said anything: {finish(program)}")


def test_gives_the_prompt_and_only_the_named_environment(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "sh", "-c", "cat; env")
    program = start(spec.write())
    assert finish(program) == ""
    assert program.returncode == 0
    prompt, *environment = spec.files.stdout.read_text().splitlines()
    assert prompt == "the prompt"
    # PWD and the like are the shell's own.
    assert {line.partition("=")[0] for line in environment} <= {"PATH", "PWD", "SHLVL", "_"}
    assert AttemptResult.read(spec.files.result) == AttemptResult(0, None)


@pytest.mark.parametrize(
    ("mode", "argv", "code"),
    [(0o600, "./agent", 126), (0o700, "./missing", 127)],
)
def test_a_program_that_cannot_start_has_a_shells_exit_code(
    tmp_path: Path, mode: int, argv: str, code: int
) -> None:
    (tmp_path / "agent").write_text("#!/bin/sh\n")
    (tmp_path / "agent").chmod(mode)
    spec = spec_of(tmp_path, argv)
    finish(start(spec.write()))
    assert AttemptResult.read(spec.files.result) == AttemptResult(code, None)
    assert f"could not start {argv}" in spec.files.stderr.read_text()


def test_sigterm_ends_the_agent_and_is_written_down(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done")
    program = start(spec.write())
    wait_for_line(program, spec.files.stdout)
    program.send_signal(signal.SIGTERM)
    finish(program)
    assert AttemptResult.read(spec.files.result) == AttemptResult(0, "terminated")


def test_the_end_of_standard_input_ends_an_attempt_that_hangs_on_it(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "sh", "-c", "echo $$; exec sleep 600", ends_with_stdin=True)
    program = start(spec.write())
    agent = int(wait_for_line(program, spec.files.stdout))
    finish(program)  # closes its standard input
    assert AttemptResult.read(spec.files.result) == AttemptResult(128 + signal.SIGTERM, "orphaned")
    assert not Path(f"/proc/{agent}").exists()


@pytest.mark.parametrize("how", ["revoked", "run out", "deleted"])
def test_without_its_hosts_lease_it_is_killed_at_once(tmp_path: Path, how: str) -> None:
    """Also where it does not hear, and its daemon neither: another host waits for its end."""
    lease = FileLease(tmp_path / "lease")
    lease.renew(since_boot() + 600)
    spec = spec_of(
        tmp_path, "sh", "-c", "trap '' TERM; echo $$; while :; do sleep 1; done", lease=lease.path
    )
    program = start(spec.write())
    agent = int(wait_for_line(program, spec.files.stdout))
    assert program.poll() is None
    match how:
        case "revoked":
            lease.revoke()
        case "run out":
            lease.renew(since_boot() + 0.1)
        case "deleted":
            lease.path.unlink()
    finish(program)
    result = AttemptResult.read(spec.files.result)
    assert result == AttemptResult(128 + signal.SIGKILL, LEASE_LOST)
    assert not Path(f"/proc/{agent}").exists()


def test_nothing_hides_from_the_end(tmp_path: Path) -> None:
    """Another session, another parent, an empty environment: still found."""
    hide = (
        "env -i setsid sh -c 'trap \"\" TERM; echo $$; : > said; exec sleep 600' &"
        "until [ -e said ]; do sleep 0.01; done"
    )
    spec = spec_of(tmp_path, "sh", "-c", hide)
    program = start(spec.write())
    hidden = int(wait_for_line(program, spec.files.stdout))
    finish(program)
    assert AttemptResult.read(spec.files.result) == AttemptResult(0, None)
    assert not Path(f"/proc/{hidden}").exists()


@pytest.mark.parametrize("victim", ["guard", "supervisor"])
def test_killed_itself_it_still_leaves_nothing(tmp_path: Path, victim: str) -> None:
    """Nor what changed its session and its environment and ignores SIGTERM."""
    hide = (
        "env -i setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 600' & while :; do sleep 1; done"
    )
    spec = spec_of(tmp_path, "sh", "-c", hide)
    program = start(spec.write())
    hidden = psutil.Process(int(wait_for_line(program, spec.files.stdout)))
    (supervisor,) = psutil.Process(program.pid).children()
    killed = program if victim == "guard" else supervisor
    killed.kill()
    finish(program)
    assert program.returncode == -signal.SIGKILL
    supervisor.wait(30)
    assert not hidden.is_running()
    assert (AttemptResult.read(spec.files.result) is None) == (victim == "supervisor")


def test_what_starts_anew_when_told_to_end_is_ended_too(tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.write_text(
        f"#!/bin/sh\ntrap 'setsid {again} & echo $!; exit' TERM\n"
        "echo $$\nwhile :; do sleep 0.05; done\n"
    )
    again.chmod(0o700)
    spec = spec_of(tmp_path, str(again))
    program = start(spec.write())
    wait_for_line(program, spec.files.stdout)
    program.send_signal(signal.SIGTERM)
    finish(program)
    result = AttemptResult.read(spec.files.result)
    assert result is not None
    assert (result.stopped, result.left) == ("terminated", ())
    heirs = [int(line) for line in spec.files.stdout.read_text().split()]
    assert len(heirs) > 1
    assert not any(psutil.pid_exists(pid) for pid in heirs)


def test_a_signal_is_told_as_shells_do(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "sh", "-c", "kill -SEGV $$")
    finish(start(spec.write()))
    assert AttemptResult.read(spec.files.result) == AttemptResult(128 + signal.SIGSEGV, None)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"argv": 1}', "nonsense"])
def test_a_spec_that_is_none_is_wrong_usage(tmp_path: Path, text: str) -> None:
    path = tmp_path / "spec.json"
    path.write_text(text)
    program = start(path)
    complaint = finish(program)
    assert program.returncode == 2
    assert complaint.startswith("claude-flow-run: cannot read the spec")
    assert complaint.count("\n") == 1


def test_without_a_spec_it_says_how_it_is_called() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "claude_flow.execution.main"], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"usage: claude-flow-run SPEC")


def test_imports_nothing_heavy() -> None:
    code = "import json, sys, claude_flow.execution.main; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    heavy = {"dbos", "github3", "rich", "sqlalchemy", "starlette", "asyncio"}
    assert heavy.isdisjoint(json.loads(done.stdout))
