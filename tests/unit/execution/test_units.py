"""What is particular to attempts as units: they outlive their daemon and are taken over."""

import asyncio
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from claude_flow.errors import ExecutionError, LeaseLostError, ProcessError
from claude_flow.execution.event_log import EventPosition, RunEvents
from claude_flow.execution.lease import LEASE_FILE, FileLease, since_boot
from claude_flow.execution.unit_control import UnitControl, UnitSettings
from claude_flow.execution.unit_limits import UnitLimits
from claude_flow.execution.unit_processes import UnitProcesses
from claude_flow.execution.units import UnitExecution
from claude_flow.model.events import AgentEvent, Output
from claude_flow.ports import (
    AgentCommand,
    AgentPlaces,
    ProcessEnded,
    Stop,
    UnitUsage,
)
from claude_flow.testing.attempts import (
    AMPLE,
    RUN_ID,
    STOPS_ITS_WATCHER,
    Lines,
    first_task,
    ignore,
    until,
)
from claude_flow.testing.fake_units import FakeUnits

SECRET = "sk-very-secret"
UNIT = f"claude-flow-run@{RUN_ID}-1.service"


class Host:
    """Units that live on while daemons come and go."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = UnitSettings(
            runs_directory=root / "runs",
            units_directory=root / "units",
            seen_at=root / "attempt",
            grace_seconds=0.5,
            poll_seconds=0.02,
            look_seconds=0.02,
            overdue_seconds=1,
        )
        self.limits = AMPLE
        self.units = FakeUnits(self.settings.units_directory, self.settings.seen_at)
        self.wanted = {RUN_ID}
        self.clock = lambda: datetime.now(UTC)
        workspace = root / "workspace"
        workspace.mkdir()
        self.task = first_task(workspace, root / "runs" / RUN_ID / "1/scratch")
        self.places = AgentPlaces(workspace, root / "repo.git", root / "objects")
        self.places.repository.mkdir()

    def execution(self) -> UnitExecution:
        """As a new daemon makes it."""
        return UnitExecution(
            UnitControl(self.settings, self.units),
            places=lambda _: self.places,
            is_wanted=lambda run_id: run_id in self.wanted,
            clock=self.clock,
            redact=lambda text: text.replace(SECRET, "***"),
        )

    def share_the_engine(self) -> FileLease:
        """Have other hosts that could take this one's runs; the lease is held."""
        lease = FileLease(self.settings.units_directory / LEASE_FILE)
        lease.renew(since_boot() + 600)
        self.settings = replace(self.settings, lease=lease)
        return lease

    @property
    def directory(self) -> Path:
        """What was laid down for the unit."""
        return self.settings.units_directory / f"{RUN_ID}-1"

    async def run(self, script: str, lines: Lines | None = None, **env: str) -> ProcessEnded:
        environment = {"PATH": os.environ["PATH"], **env}
        command = AgentCommand(
            ("sh", "-c", script), environment, "", {}, directories=(self.task.scratch / "home",)
        )
        return await self.execution().run(self.task, command, self.limits, lines or Lines(), ignore)

    def told(self) -> list[str]:
        """The kinds of the attempt's events; of output what was said."""
        read = RunEvents(self.root / "runs").after(RUN_ID, EventPosition())
        events = [AgentEvent.from_line(one.line) for one in read]
        return [
            event.what.text if isinstance(event.what, Output) else event.kind for event in events
        ]

    def says(self, word: str) -> Callable[[], bool]:
        log = self.root / "runs" / RUN_ID / "1/stdout.log"
        return lambda: log.exists() and word in log.read_text()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.units.stop_all()


async def cut_short(running: asyncio.Task[ProcessEnded]) -> None:
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


WAITING = "echo begun; while [ ! -e go ]; do sleep 0.02; done; echo done"


async def test_its_time_is_up_also_where_it_stops_its_watcher(host: Host) -> None:
    host.units.stop_seconds = 0.5
    host.limits = replace(AMPLE, timeout_seconds=1)
    ended = await host.run(STOPS_ITS_WATCHER)
    assert ended.stopped is Stop.TIMED_OUT
    assert host.units.running("*") == []


async def test_the_next_daemon_takes_over_a_running_agent_with_all_it_said(host: Host) -> None:
    first = asyncio.create_task(host.run(WAITING))
    await until(host.says("begun"))
    await cut_short(first)
    assert host.units.running("*") == [UNIT], "it goes on"
    assert await host.execution().is_begun(RUN_ID, 1)
    assert not await host.execution().is_begun(RUN_ID, 2)
    lines = Lines()
    second = asyncio.create_task(host.run("echo another agent", lines))
    await until(lambda: lines.lines == ["begun"])
    (host.task.workspace / "go").touch()
    ended = await second
    assert (ended.exit_code, ended.stopped, lines.lines) == (0, None, ["begun", "done"])
    assert host.units.starts == [UNIT], "it was started once"
    assert host.told() == ["started", "begun", "done", "result"], "and each is told once"


async def test_what_ended_between_two_daemons_is_taken_as_it_ended(host: Host) -> None:
    first = asyncio.create_task(host.run(f"{WAITING}; exit 3"))
    await until(host.says("begun"))
    await cut_short(first)
    (host.task.workspace / "go").touch()
    await until(lambda: host.units.running("*") == [])
    lines = Lines()
    ended = await host.run("echo another agent", lines)
    assert (ended.exit_code, lines.lines) == (3, ["begun", "done"])


async def test_an_end_that_was_seen_is_told_again(host: Host) -> None:
    first = await host.run("echo once; exit 4")
    lines = Lines()
    again = await host.run("echo another agent", lines)
    assert (again.exit_code, first.exit_code, lines.lines) == (4, 4, ["once"])
    assert host.told() == ["started", "once", "result"]


async def test_one_that_a_reboot_cut_short_counts_as_none(host: Host) -> None:
    first = asyncio.create_task(host.run(WAITING))
    await until(host.says("begun"))
    await until(lambda: "begun" in host.told())
    await cut_short(first)
    host.units.kill(UNIT)
    await until(lambda: host.units.running("*") == [])
    host.units.reset_failed(UNIT)  # after a boot systemd knows nothing of it
    assert not await host.execution().is_begun(RUN_ID, 1)
    lines = Lines()
    ended = await host.run("echo anew", lines)
    assert (ended.exit_code, lines.lines) == (0, ["anew"])
    assert host.told() == ["started", "begun", "started", "anew", "result"]


async def test_one_that_was_cut_short_for_want_of_the_lease_counts_as_none(host: Host) -> None:
    lease = host.share_the_engine()
    running = asyncio.create_task(host.run(WAITING, KEY="sk-secret"))
    await until(host.says("begun"))
    lease.revoke()
    with pytest.raises(LeaseLostError, match="another may take its runs over"):
        await running
    assert host.units.running("*") == []
    assert files_with(host.directory, "sk-secret") == []
    with pytest.raises(LeaseLostError):
        await host.run("echo too soon")
    lease.renew(since_boot() + 600)
    assert not await host.execution().is_begun(RUN_ID, 1)
    lines = Lines()
    ended = await host.run("echo anew", lines)
    assert (ended.exit_code, lines.lines) == (0, ["anew"])


async def test_what_lost_the_lease_between_two_daemons_counts_as_none(host: Host) -> None:
    lease = host.share_the_engine()
    first = asyncio.create_task(host.run(WAITING))
    await until(host.says("begun"))
    await cut_short(first)
    lease.renew(since_boot() + 0.1)
    await until(lambda: host.units.running("*") == [])
    lease.renew(since_boot() + 600)
    assert not await host.execution().is_begun(RUN_ID, 1)
    lines = Lines()
    assert (await host.run("echo anew", lines)).exit_code == 0
    assert lines.lines == ["anew"]


async def test_a_daemon_that_was_away_for_too_long_ends_what_still_runs(host: Host) -> None:
    lease = host.share_the_engine()
    first = asyncio.create_task(host.run(WAITING))
    await until(host.says("begun"))
    await cut_short(first)
    # Seen by the daemon before the unit sees it: nobody wrote the lease's end down yet.
    lease.revoke()
    host.execution().end_orphans(lambda _: True)
    assert host.units.running("*") == []
    lease.renew(since_boot() + 600)
    assert not await host.execution().is_begun(RUN_ID, 1)


async def test_an_agent_that_only_says_that_the_lease_was_lost_has_failed(host: Host) -> None:
    host.share_the_engine()
    result = host.root / "runs" / RUN_ID / "1/result.json"
    lie = json.dumps({"exit_code": 137, "stopped": "lease_lost", "left": []})
    ended = await host.run(f"echo '{lie}' > {result}; kill -9 $PPID")
    assert (ended.exit_code, ended.stopped) == (137, None)


async def test_one_that_was_killed_with_its_watcher_tells_the_signal(host: Host) -> None:
    running = asyncio.create_task(host.run(WAITING))
    await until(host.says("begun"))
    host.units.kill(UNIT)
    ended = await running
    assert (ended.exit_code, ended.stopped) == (137, None)
    assert host.units.state(UNIT).active == "inactive", "systemd is told that it was seen"


async def test_one_that_was_killed_for_want_of_memory_tells_that(host: Host) -> None:
    running = asyncio.create_task(host.run(f"echo 'npm error: who cares' >&2; {WAITING}"))
    await until(host.says("begun"))
    host.units.run_out_of_memory(UNIT)
    ended = await running
    assert (ended.exit_code, ended.stopped) == (137, Stop.OUT_OF_MEMORY)
    assert host.units.state(UNIT).active == "inactive", "systemd is told that it was seen"
    again = await host.run("echo another agent")
    assert again.stopped is Stop.OUT_OF_MEMORY, "the next daemon is told the same"


async def test_a_helper_that_was_killed_for_want_of_memory_says_so(host: Host) -> None:
    control = UnitControl(host.settings, host.units)
    processes = UnitProcesses(control, RUN_ID, host.places, clock=host.clock)
    running = asyncio.create_task(
        processes.run(
            ("sleep", "60"), cwd=host.task.workspace, env=dict(os.environ), timeout_seconds=60
        )
    )
    unit = f"claude-flow-run@{RUN_ID}-0-workspace.service"
    await until(lambda: host.units.running("*") == [unit])
    host.units.run_out_of_memory(unit)
    with pytest.raises(ProcessError, match=r"sleep was killed .*execution\.memory_max_bytes"):
        await running


async def test_an_attempt_that_is_ended_is_begun_no_more(host: Host) -> None:
    first = asyncio.create_task(host.run(WAITING))
    await until(host.says("begun"))
    await cut_short(first)
    await host.execution().end(RUN_ID, 2)
    assert host.units.running("*") == [UNIT], "another attempt's end is not its own"
    await host.execution().end(RUN_ID, 1)
    assert host.units.running("*") == []
    assert not await host.execution().is_begun(RUN_ID, 1)
    lines = Lines()
    ended = await host.run("echo anew", lines)
    assert (ended.exit_code, lines.lines) == (0, ["anew"])


async def test_a_run_that_nobody_wants_any_more_is_stopped(host: Host) -> None:
    running = asyncio.create_task(host.run(WAITING))
    await until(host.says("begun"))
    host.wanted.clear()
    await cut_short(running)
    assert host.units.running("*") == []


async def test_a_daemons_start_stops_what_belongs_to_no_wanted_run(host: Host) -> None:
    running = asyncio.create_task(host.run(WAITING))
    await until(host.says("begun"))
    await cut_short(running)
    host.execution().end_orphans(lambda run_id: run_id == RUN_ID)
    assert host.units.running("*") == [UNIT]
    host.execution().end_orphans(lambda _: False)
    assert host.units.running("*") == []
    assert not host.directory.exists()


async def test_the_models_key_is_in_no_spec_and_gone_after_the_end(host: Host) -> None:
    running = asyncio.create_task(host.run(f'echo "$KEY"; {WAITING}', KEY=SECRET))
    await until(host.says("begun"))
    holding = [path.name for path in files_with(host.root, SECRET)]
    assert sorted(holding) == ["environment.json", "stdout.log"]
    assert "KEY" in json.loads((host.directory / "in/spec.json").read_text())["environment"]
    (host.task.workspace / "go").touch()
    await running
    assert [path.name for path in files_with(host.root, SECRET)] == ["stdout.log"]
    assert not (host.task.scratch / "home").exists()


def files_with(top: Path, text: str) -> list[Path]:
    return [
        path
        for path in top.rglob("*")
        if path.is_file() and not path.is_symlink() and text in path.read_text()
    ]


async def test_a_forged_result_is_no_result(host: Host) -> None:
    # The agent could reach its watcher's file, for both are the same user.
    result = host.root / "runs" / RUN_ID / "1/result.json"
    running = asyncio.create_task(host.run(f"echo '[[[' > {result}; kill -9 $PPID"))
    ended = await running
    assert ended.exit_code == 137


async def test_what_cannot_be_started_is_said(host: Host) -> None:
    host.settings.units_directory.write_text("no directory")
    with pytest.raises(ExecutionError, match=r"claude-flow-run@.*-1\.service.*the playbook"):
        await host.run("true")


async def test_agents_files_may_be_changed_by_the_group(host: Host) -> None:
    script = host.task.scratch / "bin/agent"
    config = host.task.scratch / "config/settings.json"
    command = AgentCommand(
        (str(script),),
        {"PATH": os.environ["PATH"]},
        "",
        {script: "#!/bin/sh\necho ran\n", config: "{}"},
        executable=frozenset({script}),
    )
    lines = Lines()
    await host.execution().run(host.task, command, AMPLE, lines, ignore)
    assert lines.lines == ["ran"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (script, config)] == [0o770, 0o660]


def test_limits_that_are_not_the_configurations_are_told(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = UnitLimits(memory_max_bytes=1_000_000_000, cpu_quota_percent=150, tasks_max=64)
    execution = host.execution()
    execution.warn_of_limits(wanted)
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "execution.memory_max_bytes is 1000000000, the unit has no limit",
        "execution.cpu_quota_percent is 150, the unit has no limit",
        "execution.tasks_max is 64, the unit has no limit",
    ]
    caplog.clear()
    host.units.limits = UnitUsage(
        memory_max_bytes=1_000_000_000, cpu_quota_percent=150.0, tasks_max=512
    )
    execution.warn_of_limits(wanted)
    (told,) = [record.message for record in caplog.records]
    assert told.startswith("execution.tasks_max is 64, the unit has 512: run the playbook")


async def test_a_hook_of_a_run_that_ended_is_not_forgotten_while_others_begin(host: Host) -> None:
    execution = host.execution()
    other = "gadgets-8-0123456789"
    host.wanted = {other}

    async def run(run_id: str, script: str) -> ProcessEnded:
        task = replace(host.task, run_id=run_id, part="hook-before-remove")
        command = AgentCommand(("sh", "-c", script), {"PATH": os.environ["PATH"]}, "", {})
        return await execution.run(task, command, AMPLE, Lines(), ignore)

    up, go = host.root / "up", host.root / "go"
    hook = asyncio.create_task(run(RUN_ID, f"touch {up}; until [ -e {go} ]; do sleep 0.02; done"))
    await until(up.exists)
    assert (await run(other, "true")).exit_code == 0
    go.touch()
    assert (await hook).exit_code == 0
