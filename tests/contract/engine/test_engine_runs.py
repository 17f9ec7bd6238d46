"""What becomes of a run in every engine: steps, outcomes, retries, limits and the record."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from claude_flow.errors import EngineError, RateLimitedError, StateInUseError, UsageError
from claude_flow.model.issue import IssueRef, Repository
from claude_flow.model.run import Phase, Reason, Run, RunState, Usage
from claude_flow.model.transitions import AttemptEnded, AttemptStarted, PhaseEntered, RunEnded
from claude_flow.ports import Engine, Steps


class Work:
    """An attempt of a few lines; what it did is in ``done``."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.engine: Engine
        self.done: list[str] = []
        self.gate = threading.Event()
        self.peak = 0
        self.busy = 0

    async def wait_at_gate(self) -> str:
        self.busy += 1
        self.peak = max(self.peak, self.busy)
        try:
            while not await asyncio.to_thread(self.gate.wait, 0.02):
                pass
        finally:
            self.busy -= 1
        return "passed"

    def get(self, run: Run) -> Run:
        found = self.engine.get(run.id)
        assert found is not None
        return found

    async def say(self, what: str) -> str:
        self.done.append(what)
        return what

    async def gated(self, run_id: str, number: int, steps: Steps) -> None:
        self.engine.apply(run_id, AttemptStarted(number, self.world.now()))
        self.done.append(f"{run_id} starts {number}")
        await steps.step("gate", self.wait_at_gate, interruptible=True)
        self.end(run_id)

    def end(self, run_id: str) -> None:
        self.engine.apply(run_id, RunEnded(Reason.PULL_REQUEST_OPENED, self.world.now()))


@pytest.fixture
def work(world: Any) -> Work:
    return Work(world)


def test_a_run_goes_through_its_steps_to_its_end(world: Any, work: Work) -> None:
    answers: list[Any] = []

    async def attempt(run_id: str, number: int, steps: Steps) -> None:
        work.engine.apply(run_id, AttemptStarted(number, world.now()))
        answers.append(await steps.step("one", lambda: work.say("one")))
        work.engine.apply(run_id, PhaseEntered(Phase.EXECUTING))

        async def structured() -> Any:
            return {"list": (1, 2.5, None), "text": "ä"}

        answers.append(await steps.step("two", structured, interruptible=True))
        answers.append(await steps.step("one", lambda: work.say("again")))
        work.end(run_id)

    work.engine = world.launch(attempt)
    run = world.run("octo/widgets#1")
    assert work.engine.submit(run)
    world.until(lambda: work.get(run).state.is_final)

    ended = work.get(run)
    assert ended.state is RunState.SUCCEEDED
    assert ended.reason is Reason.PULL_REQUEST_OPENED
    assert ended.attempt == 1
    assert answers == ["one", {"list": [1, 2.5, None], "text": "ä"}, "one"]
    assert work.done == ["one"]


def test_an_issue_has_one_active_run(world: Any, work: Work) -> None:
    work.engine = world.launch(work.gated)
    first = world.run("octo/widgets#1")
    assert work.engine.submit(first)
    assert not work.engine.submit(first)
    second = world.run("Octo/Widgets#1")
    assert not work.engine.submit(second)
    assert work.engine.get(second.id) is None

    work.gate.set()
    world.until(lambda: work.get(first).state.is_final)
    assert not work.engine.submit(first)
    assert work.engine.submit(second)


def test_a_final_run_cannot_be_cancelled(world: Any, work: Work) -> None:
    work.engine = world.launch(work.gated)
    run = world.run("octo/widgets#1")
    work.engine.submit(run)
    work.engine.apply(run.id, RunEnded(Reason.UNTRUSTED, world.now()))
    assert work.get(run).reason is Reason.UNTRUSTED
    assert not work.engine.cancel(run.id)


def test_a_retry_waits_without_a_slot(world: Any, work: Work) -> None:
    async def attempt(run_id: str, number: int, steps: Steps) -> None:
        work.engine.apply(run_id, AttemptStarted(number, world.now()))
        await steps.step("say", lambda: work.say(f"{run_id} {number}"))
        if run_id == first.id:
            ended = AttemptEnded(number, Reason.AGENT_FAILED, world.now())
            work.engine.apply(run_id, ended)
            work.engine.retry(run_id, 2, 3600.0)
            work.engine.retry(run_id, 2, 0.0)
        else:
            work.end(run_id)

    first, second = world.run("octo/widgets#1"), world.run("octo/widgets#2")
    work.engine = world.launch(attempt)
    work.engine.submit(first)
    world.until(lambda: work.done)
    world.until(lambda: work.engine.free_slots(first.issue.repository) == 1)
    work.engine.submit(second)
    world.until(lambda: work.get(second).state.is_final)

    assert work.done == [f"{first.id} 1", f"{second.id} 1"]
    waiting = work.get(first)
    assert not waiting.state.is_final
    assert [attempt.reason for attempt in waiting.attempts] == [Reason.AGENT_FAILED]


def test_a_retry_comes_once_its_pause_is_over(world: Any, work: Work) -> None:
    pause = 0.3
    at: list[float] = []

    async def attempt(run_id: str, number: int, steps: Steps) -> None:
        work.engine.apply(run_id, AttemptStarted(number, world.now()))
        await steps.step("say", lambda: work.say(f"attempt {number}"))
        at.append(time.monotonic())
        if number == 1:
            ended = AttemptEnded(number, Reason.AGENT_FAILED, world.now())
            work.engine.apply(run_id, ended)
            work.engine.retry(run_id, 2, pause)
        else:
            work.end(run_id)

    run = world.run("octo/widgets#1")
    work.engine = world.launch(attempt)
    work.engine.submit(run)
    world.until(lambda: work.get(run).state.is_final)

    assert work.done == ["attempt 1", "attempt 2"]
    assert at[1] - at[0] >= pause
    assert [attempt.reason for attempt in work.get(run).attempts] == [Reason.AGENT_FAILED, None]


def test_limits_hold(world: Any, work: Work) -> None:
    work.engine = world.launch(work.gated, 2, 1)
    runs = [world.run(f"octo/{name}#{number}") for name in ("a", "b", "c") for number in (1, 2)]
    for run in runs:
        assert work.engine.submit(run)
    world.until(lambda: work.busy == 2)
    running = work.engine.runs(states=[RunState.RUNNING])
    assert len({run.issue.repository for run in running}) == 2
    assert work.engine.free_slots() == 0

    work.gate.set()
    world.until(lambda: all(run.state.is_final for run in work.engine.runs()))
    assert work.peak <= 2
    assert work.engine.counts()[RunState.SUCCEEDED] == len(runs)
    assert work.engine.free_slots() == 2
    assert work.engine.free_slots(Repository("octo", "a")) == 1


def test_limits_change_while_running(world: Any, work: Work) -> None:
    work.engine = world.launch(work.gated, 1, 1)
    for number in (1, 2):
        assert work.engine.submit(world.run(f"octo/widgets#{number}"))
    world.until(lambda: work.busy == 1)
    work.engine.set_limits(2, 2)
    world.until(lambda: work.busy == 2)
    work.gate.set()


def test_a_fault_in_the_work_ends_the_run(world: Any, work: Work) -> None:
    async def attempt(run_id: str, number: int, steps: Steps) -> None:
        work.engine.apply(run_id, AttemptStarted(number, world.now()))

        async def break_it() -> None:
            raise LookupError("a secret")

        await steps.step("break", break_it)

    work.engine = world.launch(attempt)
    run = world.run("octo/widgets#1")
    work.engine.submit(run)
    world.until(lambda: work.get(run).state.is_final)

    ended = work.get(run)
    assert (ended.reason, ended.detail) == (Reason.AGENT_FAILED, "internal error: LookupError")
    assert ended.attempts[0].reason is Reason.AGENT_FAILED


def test_work_without_an_outcome_ends_the_run(world: Any, work: Work) -> None:
    async def attempt(run_id: str, number: int, _steps: Steps) -> None:
        work.engine.apply(run_id, AttemptStarted(number, world.now()))

    work.engine = world.launch(attempt)
    run = world.run("octo/widgets#1")
    work.engine.submit(run)
    world.until(lambda: work.get(run).state.is_final)
    assert work.get(run).detail == "internal error: the attempt left no outcome"


def test_an_answer_that_is_no_json_is_a_fault(world: Any, work: Work) -> None:
    async def attempt(_run_id: str, _number: int, steps: Steps) -> None:
        async def answer() -> object:
            return object()

        await steps.step("answer", answer)

    work.engine = world.launch(attempt)
    run = world.run("octo/widgets#1")
    work.engine.submit(run)
    world.until(lambda: work.get(run).state.is_final)
    assert work.get(run).detail == "internal error: TypeError"


def test_an_error_of_ours_reaches_the_work_and_is_kept(world: Any, work: Work) -> None:
    async def limited() -> None:
        work.done.append("limited")
        raise RateLimitedError("too fast", retry_after_seconds=7, hint="wait")

    async def attempt(run_id: str, number: int, steps: Steps) -> None:
        work.engine.apply(run_id, AttemptStarted(number, world.now()))
        with pytest.raises(RateLimitedError) as caught:
            await steps.step("limited", limited)
        work.done.append(f"{caught.value} {caught.value.retry_after_seconds}")
        await steps.step("gate", work.wait_at_gate, interruptible=True)
        work.end(run_id)

    work.engine = world.launch(attempt)
    run = world.run("octo/widgets#1")
    work.engine.submit(run)
    world.until(lambda: work.busy)
    world.close(work.engine)
    work.gate.set()
    work.engine = world.launch(attempt)
    world.until(lambda: work.get(run).state.is_final)

    assert work.get(run).state is RunState.SUCCEEDED
    assert work.done == ["limited", "too fast (wait) 7", "too fast (wait) 7"]


def test_the_record_answers(world: Any, work: Work) -> None:
    work.engine = world.launch(work.gated)
    runs = [world.run(f"octo/{name}#1") for name in ("a", "b", "c")]
    for run in runs:
        work.engine.submit(run)
    world.until(lambda: work.busy == 3)
    engine = work.engine
    assert [run.id for run in engine.runs()] == [run.id for run in reversed(runs)]
    assert [run.id for run in engine.runs(limit=1)] == [runs[2].id]
    assert [run.id for run in engine.runs(issue=IssueRef.parse("Octo/B#1"))] == [runs[1].id]
    assert [run.id for run in engine.runs(repository=Repository("Octo", "C"))] == [runs[2].id]
    assert engine.runs(states=[RunState.FAILED, RunState.CANCELLED]) == []
    assert engine.get("nobody") is None
    with pytest.raises(UsageError, match="nobody"):
        engine.apply("nobody", PhaseEntered(Phase.EXECUTING))
    assert not engine.cancel("nobody")


def test_the_record_knows_what_was_spent_since_a_moment(world: Any, work: Work) -> None:
    work.engine = engine = world.launch(work.gated)
    ended, active = world.run("Octo/a#1"), world.run("octo/b#1")
    for run in (ended, active):
        engine.submit(run)
    world.until(lambda: work.busy == 2)
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    for hours, cost in enumerate((1.0, 2.5)):
        at = noon + timedelta(hours=hours)
        for run in (ended, active):
            engine.apply(run.id, AttemptStarted(hours + 1, at))
            usage = Usage(cost_usd=cost)
            engine.apply(run.id, AttemptEnded(hours + 1, Reason.AGENT_FAILED, at, usage=usage))
    engine.apply(ended.id, RunEnded(Reason.AGENT_FAILED, noon + timedelta(hours=1)))

    assert engine.spent_usd(noon) == {"octo/a": 3.5, "octo/b": 3.5}
    assert engine.spent_usd(noon + timedelta(minutes=1)) == {"octo/a": 2.5, "octo/b": 2.5}
    assert engine.spent_usd(noon + timedelta(hours=1, seconds=1)) == {}
    assert {run.id for run in engine.worked_on_since(noon)} == {ended.id, active.id}
    half_read = engine.worked_on_since(noon)
    next(half_read)
    engine.apply(active.id, RunEnded(Reason.AGENT_FAILED, noon + timedelta(hours=2)))


def test_changes_from_many_threads_are_all_kept(world: Any, work: Work) -> None:
    work.engine = world.launch(work.gated)
    run = world.run("octo/widgets#1")
    work.engine.submit(run)
    world.until(lambda: work.busy)

    def attempt(number: int) -> None:
        work.engine.apply(run.id, AttemptStarted(number, world.now()))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(attempt, [1, 2, 2, 2, 2, 2, 2, 2]))
    assert [attempt.number for attempt in work.get(run).attempts] == [1, 2]


def test_one_daemon_per_state(world: Any, work: Work) -> None:
    work.engine = world.launch(work.gated)
    with pytest.raises(StateInUseError, match="held by another"):
        world.engine().launch(work.gated)
    work.engine.check()


def test_an_engine_that_was_not_launched_says_so(world: Any) -> None:
    engine = world.engine()
    with pytest.raises(EngineError):
        engine.check()
