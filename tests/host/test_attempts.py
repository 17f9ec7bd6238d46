"""Attempts in real units: what an agent can do there, and what it cannot."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from claude_flow.errors import ServiceError
from claude_flow.execution.spec import AttemptFiles, AttemptSpec
from claude_flow.execution.unit_control import Job, UnitControl, UnitSettings
from claude_flow.execution.unit_release import UnitRelease
from claude_flow.ports import Excerpt, Stop
from claude_flow.systemd.manager import SystemdUnits
from claude_flow.testing.attempts import STOPS_ITS_WATCHER, until
from tests.host.attempt import LIMITS, SECRET, STATE, WAITING, Attempt, processes_of


def service_pid() -> int:
    pid = SystemdUnits().state("claude-flow.service").main_pid
    assert pid is not None, "the service has to run"
    return pid


async def test_the_next_attempt_goes_on_with_a_copy_of_a_private_file_of_the_last(
    attempt: Attempt,
) -> None:
    talk, theirs = Path("projects/w/talk"), attempt.scratch / "claude"
    write = f"mkdir -p projects/w; printf 'one\\nhalf a li' > {talk}; chmod 0600 {talk}"
    first = await attempt.run("sh", "-ec", f"umask 077; mkdir {theirs}; cd {theirs}; {write}")
    copy = attempt.run_directory / "2/scratch/claude" / talk
    go_on = f"test ! -e {theirs}; echo two >> {copy}; cat {copy}"
    second = await attempt.run(
        "sh", "-ec", go_on, number=2, copies={copy: Excerpt(theirs, talk, len("one\n"))}
    )
    assert (first.exit_code, second.exit_code) == (0, 0), (first, second)
    assert attempt.output.lines == ["one", "two"]
    assert (theirs / talk).read_text() == "one\nhalf a li"


async def test_every_tool_of_a_build_works(attempt: Attempt) -> None:
    answers = await attempt.probe("tools")
    assert len(answers) == 8
    assert [answer for answer in answers.values() if not answer["went"]] == []
    assert (attempt.workspace / "made-in-workspace").read_text() == "was here"


async def test_it_reaches_neither_the_service_nor_another_attempt(
    attempt: Attempt, other: Attempt
) -> None:
    (other.workspace / "secret").write_text("of another run")
    neighbour = asyncio.create_task(other.run(*WAITING, KEY="sk-other"))
    await until(lambda: other.output.lines == ["up"])
    pids = [service_pid(), *processes_of(other.unit)]
    assert len(pids) >= 3
    processes = [
        f"{name}={path}"
        for pid in pids
        for name, path in (
            ("read", f"/proc/{pid}/environ"),
            ("read", f"/proc/{pid}/cwd"),
            ("read", f"/proc/{pid}/root/etc/hostname"),
            ("trace", str(pid)),
            ("see", str(pid)),
        )
    ]
    files = [
        *(f"read={STATE / name}" for name in ("state.db", "status.json", "repos", "host-id")),
        f"read={other.workspace}",
        f"read={other.workspace}/secret",
        f"read={other.run_directory}/1/stdout.log",
        f"read={other.run_directory}/1/events.jsonl",
        f"read=/proc/1/root{other.workspace}/secret",
        f"read={UnitSettings(runs_directory=STATE).units_directory}",
        *(f"read=/etc/claude-flow/{name}" for name in ("config.json", "credentials")),
        *(f"read={path}" for path in ("/run/credentials", "/run/claude-flow/api-token")),
        *(f"read={path}" for path in ("/etc/shadow", "/root")),
    ]
    writes = [
        *(f"write={path}/x" for path in ("/etc", "/usr/bin", "/run", "/opt/claude-flow", STATE)),
        f"write={attempt.run_directory}/1/x",
        f"write={attempt.run_directory}/1/events.jsonl",
        f"write={STATE}/attempt/spec.json",
    ]
    others = ["root", "setuid", "setuid file", "unshare", "metadata", f"kill={pids[0]}"]
    answers = await attempt.probe("walls", *processes, *files, *writes, *others)
    assert len(answers) == len({*processes, *files, *writes, *others})
    assert [answer for answer in answers.values() if answer["went"]] == []
    neighbour.cancel()
    with pytest.raises(asyncio.CancelledError):
        await neighbour


async def test_what_an_agent_closed_can_be_read_and_removed(attempt: Attempt) -> None:
    script = (
        "mkdir -p deep/er && echo x > deep/er/file && chmod 000 deep/er/file deep/er deep;"
        "mkdir sticky && echo x > sticky/file && chmod 1700 sticky && chmod 400 sticky/file;"
        'mkdir -p "$HOME/closed" && chmod 000 "$HOME/closed";'
        "ln -s /etc link; echo done"
    )
    ended = await attempt.run("sh", "-c", script)
    assert (ended.exit_code, attempt.output.lines) == (0, ["done"])
    assert (attempt.workspace / "deep/er/file").read_text() == "x\n"
    assert not (attempt.scratch / "home").exists()
    attempt.remove()
    attempt.workspace.mkdir()
    attempt.run_directory.mkdir()


class PowerCut(UnitControl):
    """Nothing is opened when a unit has ended, as where the power went."""

    def _spec(self, job: Job, files: AttemptFiles) -> AttemptSpec:
        return replace(super()._spec(job, files), shared=())


async def test_what_is_still_closed_is_opened_by_the_agents_user(attempt: Attempt) -> None:
    settings = UnitSettings(runs_directory=STATE / "runs")
    attempt.control = PowerCut(settings, SystemdUnits())
    script = (
        "mkdir -p deep/er && echo x > deep/er/file && chmod 000 deep/er/file deep/er deep;"
        'umask 077; mkdir "$TMPDIR/../private"; echo x > "$TMPDIR/../private/file"; echo done'
    )
    ended = await attempt.run("sh", "-c", script)
    assert (ended.exit_code, attempt.output.lines) == (0, ["done"])
    for path in (attempt.workspace / "deep/er", attempt.scratch / "private/file"):
        with pytest.raises(PermissionError):
            path.lstat()
    control = UnitControl(settings, SystemdUnits())
    release = UnitRelease(control, lambda: datetime.now(UTC))
    await release(attempt.run_id, attempt.workspace)
    assert (attempt.workspace / "deep/er/file").read_text() == "x\n"
    await release(attempt.run_id, attempt.run_directory)
    attempt.remove()
    attempt.workspace.mkdir()
    attempt.run_directory.mkdir()


async def test_nothing_of_it_is_left(attempt: Attempt) -> None:
    script = "setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' & echo started"
    ended = await attempt.run("sh", "-c", script)
    assert ended.exit_code == 0
    assert processes_of(attempt.unit) == ()
    assert SystemdUnits().state(attempt.unit).active == "inactive"


async def test_its_time_is_up_also_where_it_stops_its_watcher(attempt: Attempt) -> None:
    attempt.set_up(overdue_seconds=1)
    limits = replace(LIMITS, timeout_seconds=2)
    ended = await attempt.run("sh", "-c", STOPS_ITS_WATCHER, limits=limits)
    assert ended.stopped is Stop.TIMED_OUT
    assert processes_of(attempt.unit) == ()


async def test_the_models_key_is_in_no_property_of_the_unit(attempt: Attempt) -> None:
    running = asyncio.create_task(
        attempt.run("sh", "-c", 'echo "${#KEY}"; exec sleep 600', KEY=SECRET)
    )
    await until(lambda: attempt.output.lines == ["14"])
    shown = await asyncio.to_thread(
        subprocess.check_output, ["systemctl", "show", attempt.unit], text=True
    )
    assert "User=claude-flow-agent" in shown.splitlines()
    assert SECRET not in shown
    assert "github-token" not in shown
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_an_end_by_somebody_elses_hand_is_told(attempt: Attempt) -> None:
    running = asyncio.create_task(attempt.run(*WAITING))
    await until(lambda: attempt.output.lines == ["up"])
    await asyncio.to_thread(SystemdUnits().stop, attempt.unit, timeout_seconds=60)
    ended = await running
    assert (ended.exit_code, ended.stopped) == (143, None)


async def test_a_killed_watcher_is_told_and_nothing_is_left(attempt: Attempt) -> None:
    ended = await attempt.run("sh", "-c", "setsid sleep 600 & kill -KILL $PPID; exec sleep 600")
    assert (ended.exit_code, ended.stopped) == (137, None)
    assert processes_of(attempt.unit) == ()


async def test_one_that_another_attempt_killed_is_told_and_leaves_nothing(
    attempt: Attempt, other: Attempt
) -> None:
    """All are one user's: this is what an agent can do to others, and all that it can."""
    attempt.is_wanted = other.is_wanted = True  # two daemons in one: neither tidies the other's up
    neighbour = asyncio.create_task(other.run(*WAITING))
    await until(lambda: other.output.lines == ["up"])
    ended = await attempt.run("sh", "-c", "kill -KILL -1; exec sleep 600")
    for killed in (ended, await neighbour):
        assert (killed.exit_code, killed.stopped) == (137, None)
    assert processes_of(attempt.unit) == processes_of(other.unit) == ()


@pytest.mark.parametrize("unit", ["ssh.service", "claude-flow.service"])
def test_no_other_unit_is_the_services_to_start(unit: str) -> None:
    assert os.geteuid() != 0
    with pytest.raises(ServiceError, match="does not let this user"):
        SystemdUnits().stop(unit, timeout_seconds=20)
