"""Cancels and the daemon's end, in every engine."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from claude_flow.model.run import Reason, Run, RunState
from claude_flow.model.transitions import AttemptEnded, AttemptStarted, RunEnded
from claude_flow.ports import Engine, Steps


class Work:
    """Prepares, runs for ever until interrupted or let through, and publishes."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.engine: Engine
        self.done: list[str] = []
        self.gate = threading.Event()
        self.cleans_up = False

    def get(self, run: Run) -> Run:
        found = self.engine.get(run.id)
        assert found is not None
        return found

    async def say(self, what: str) -> None:
        self.done.append(what)

    async def long(self) -> None:
        self.done.append("long begins")
        try:
            while not await asyncio.to_thread(self.gate.wait, 0.02):
                pass
        except asyncio.CancelledError:
            self.done.append("long is cut short")
            raise

    async def __call__(self, run_id: str, number: int, steps: Steps) -> None:
        self.engine.apply(run_id, AttemptStarted(number, self.world.now()))
        await steps.step("prepare", lambda: self.say("prepare"))
        try:
            await steps.step("long", self.long, interruptible=True)
        except asyncio.CancelledError:
            if not (self.cleans_up and self.engine.is_cancelled(run_id)):
                raise
            await steps.step("tell", lambda: self.say("tell"))
            ended = RunEnded(Reason.ISSUE_CLOSED, self.world.now())
            self.engine.apply(run_id, ended)
            return
        await steps.step("publish", lambda: self.say("publish"))
        self.engine.apply(run_id, RunEnded(Reason.PULL_REQUEST_OPENED, self.world.now()))

    def start(self, run: Any) -> None:
        self.engine.submit(run)
        self.world.until(lambda: "long begins" in self.done)


@pytest.fixture
def work(world: Any) -> Work:
    return Work(world)


def test_a_running_attempt_is_cancelled_at_once(world: Any, work: Work) -> None:
    work.engine = world.launch(work)
    run = world.run("octo/widgets#1")
    work.start(run)
    assert not work.engine.is_cancelled(run.id)
    asked = time.monotonic()
    assert work.engine.cancel(run.id)
    world.until(lambda: work.get(run).state.is_final)

    assert time.monotonic() - asked < 2
    assert work.engine.is_cancelled(run.id)
    assert work.get(run).reason is Reason.CANCELLED_BY_USER
    assert work.done == ["prepare", "long begins", "long is cut short"]
    assert not work.engine.cancel(run.id)


def test_cancelled_work_may_tidy_up_with_steps(world: Any, work: Work) -> None:
    work.cleans_up = True
    work.engine = world.launch(work)
    run = world.run("octo/widgets#1")
    work.start(run)
    work.engine.cancel(run.id)
    world.until(lambda: work.get(run).state.is_final)
    assert work.get(run).reason is Reason.ISSUE_CLOSED
    assert work.done[-1] == "tell"


def test_a_step_that_is_not_interruptible_ends_first(world: Any, work: Work) -> None:
    async def attempt(run_id: str, number: int, steps: Steps) -> None:
        work.engine.apply(run_id, AttemptStarted(number, world.now()))
        await steps.step("push", work.long)
        await steps.step("agent", lambda: work.say("agent"), interruptible=True)

    work.engine = world.launch(attempt)
    run = world.run("octo/widgets#1")
    work.start(run)
    work.engine.cancel(run.id)
    assert work.get(run).state is RunState.RUNNING
    work.gate.set()
    world.until(lambda: work.get(run).state.is_final)
    assert work.get(run).reason is Reason.CANCELLED_BY_USER
    assert work.done == ["long begins"]


def test_a_waiting_run_is_cancelled_without_being_worked_on(world: Any, work: Work) -> None:
    work.engine = world.launch(work)
    first, second = world.run("octo/widgets#1"), world.run("octo/widgets#2")
    work.start(first)
    work.engine.submit(second)
    assert work.engine.cancel(second.id)
    assert work.get(second).reason is Reason.CANCELLED_BY_USER
    work.gate.set()
    world.until(lambda: work.get(first).state.is_final)
    third = world.run("octo/widgets#2")
    assert work.engine.submit(third)
    world.until(lambda: work.get(third).state.is_final)
    assert work.get(second).attempts == ()


def test_a_run_that_waits_for_its_next_attempt_is_cancelled(world: Any, work: Work) -> None:
    async def attempt(run_id: str, number: int, _steps: Steps) -> None:
        work.engine.apply(run_id, AttemptStarted(number, world.now()))
        work.done.append(str(number))
        work.engine.apply(run_id, AttemptEnded(number, Reason.STALLED, world.now()))
        work.engine.retry(run_id, number + 1, 0.3)

    work.engine = world.launch(attempt)
    run = world.run("octo/widgets#1")
    work.engine.submit(run)
    world.until(lambda: work.done == ["1"])
    world.until(lambda: work.get(run).state is RunState.QUEUED)
    assert work.engine.cancel(run.id)
    assert work.get(run).state is RunState.CANCELLED
    work.engine.retry(run.id, 2, 0.0)
    other = world.run("octo/widgets#2")
    work.engine.submit(other)
    world.until(lambda: work.done == ["1", "1", "2"])
    assert work.get(run).attempt == 1


def test_an_attempt_cut_short_by_the_daemons_end_is_resumed(world: Any, work: Work) -> None:
    work.cleans_up = True
    work.engine = world.launch(work)
    run = world.run("octo/widgets#1")
    work.start(run)
    began = time.monotonic()
    world.close(work.engine, 0.1)
    assert time.monotonic() - began < 5
    assert work.done == ["prepare", "long begins", "long is cut short"]

    work.gate.set()
    work.engine = world.launch(work)
    world.until(lambda: work.get(run).state.is_final)
    ended = work.get(run)
    assert ended.state is RunState.SUCCEEDED
    assert len(ended.attempts) == 1
    assert work.done[3:] == ["long begins", "publish"]


def test_a_cancel_before_the_daemons_end_holds_after_it(world: Any, work: Work) -> None:
    async def attempt(run_id: str, number: int, steps: Steps) -> None:
        work.engine.apply(run_id, AttemptStarted(number, world.now()))
        await steps.step("push", work.long)
        await steps.step("agent", lambda: work.say("agent"), interruptible=True)

    work.engine = world.launch(attempt)
    run = world.run("octo/widgets#1")
    work.start(run)
    work.engine.cancel(run.id)
    closing = threading.Thread(target=world.close, args=(work.engine,))
    closing.start()
    work.gate.set()
    closing.join()
    work.engine = world.launch(attempt)
    world.until(lambda: work.get(run).state.is_final)
    assert work.get(run).reason is Reason.CANCELLED_BY_USER
    assert work.done == ["long begins"]


def test_the_daemons_end_waits_for_work_within_the_grace(world: Any, work: Work) -> None:
    work.engine = world.launch(work)
    run = world.run("octo/widgets#1")
    work.start(run)
    threading.Timer(0.2, work.gate.set).start()
    began = time.monotonic()
    engine = work.engine
    world.close(engine, 10)
    assert time.monotonic() - began < 5
    assert work.done == ["prepare", "long begins", "publish"]


def test_what_was_queued_survives_the_daemons_end(world: Any, work: Work) -> None:
    work.engine = world.launch(work)
    running, queued = world.run("octo/widgets#1"), world.run("octo/widgets#2")
    work.start(running)
    work.engine.submit(queued)
    world.close(work.engine)
    work.gate.set()
    work.engine = world.launch(work)
    world.until(lambda: all(run.state is RunState.SUCCEEDED for run in work.engine.runs()))
    assert {run.id for run in work.engine.runs()} == {running.id, queued.id}
