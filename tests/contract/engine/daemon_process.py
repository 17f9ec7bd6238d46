"""A daemon that a crash test can kill: works off runs of four steps and says so in a file.

    daemon_process.py PLACE LOG ISSUE...

PLACE is a JSON object with the settings, LOG the file to add to; the runs of the ISSUEs are
submitted. Ends when no run is active.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from claude_flow.engine.durable import DurableEngine
from claude_flow.engine.settings import EngineSettings
from claude_flow.errors import ClaudeFlowError, EngineError
from claude_flow.execution.lease import LEASE_FILE, FileLease
from claude_flow.model.issue import IssueRef
from claude_flow.model.lease import lease_seconds
from claude_flow.model.run import Reason, Run, RunState, Trigger, TriggerKind
from claude_flow.model.transitions import AttemptStarted, RunEnded
from claude_flow.ports import Steps

STEPS = 4


def now() -> datetime:
    return datetime.now(UTC)


def submit(engine: DurableEngine, issue: str) -> bool:
    trigger = Trigger(TriggerKind.LABEL, "1")
    return engine.submit(Run.queued(IssueRef.parse(issue), trigger, now()))


def _is_active(engine: DurableEngine) -> bool:
    try:
        return bool(engine.runs(states=[RunState.QUEUED, RunState.RUNNING]))
    except EngineError:
        return True  # as the daemon does, it waits for the database


def main(place: dict[str, Any], log: Path, issues: list[str]) -> None:
    step_seconds = place.pop("step_seconds")
    submit_times = place.pop("submit_times")
    directory = Path(place.pop("state_directory"))
    fatal: list[EngineError] = []
    # Hosts that wait for one another very briefly could hold none.
    lease = (
        FileLease(directory / LEASE_FILE) if lease_seconds(place["host_timeout_seconds"]) else None
    )
    engine = DurableEngine(
        EngineSettings(clock=now, state_directory=directory, **place), fatal.append, lease
    )
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def say(*words: object) -> None:
        os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())

    async def work(run_id: str, number: int, steps: Steps) -> None:
        engine.apply(run_id, AttemptStarted(number, now()))
        for index in range(STEPS):
            await steps.step(f"step {index}", step(run_id, index), interruptible=True)
        say("end", run_id, place["host_id"])
        engine.apply(run_id, RunEnded(Reason.PULL_REQUEST_OPENED, now()))

    def step(run_id: str, index: int) -> Callable[[], Any]:
        async def do() -> int:
            say(index, run_id, place["host_id"])
            await asyncio.sleep(step_seconds)
            return index

        return do

    engine.launch(work)
    say("up", "-", place["host_id"])
    for issue in issues:
        for _ in range([submit(engine, issue) for _ in range(submit_times)].count(True)):
            say("submitted", issue, place["host_id"])
    while _is_active(engine):
        if fatal:
            raise fatal[0]
        time.sleep(0.05)
    engine.close(grace_seconds=5)


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    except ClaudeFlowError as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        os._exit(error.exit_code)
