"""From labelled issues to queued runs, on a GitHub and an engine in memory."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from claude_flow.errors import GitHubUnreachableError, NotFoundError
from claude_flow.model.breaker import BreakerPolicy
from claude_flow.model.budgets import Budgets
from claude_flow.model.issue import IssueRef, Repository
from claude_flow.model.run import Reason, RunState, TriggerKind, Usage
from claude_flow.model.transitions import AttemptEnded, AttemptStarted, RunEnded
from claude_flow.ports import Steps
from claude_flow.testing.clock import FakeClock
from claude_flow.testing.fake_engine import FakeEngine
from claude_flow.testing.fake_github import FakeGitHub
from claude_flow.triggers.brakes import RecordedBrakes
from claude_flow.triggers.operator import submit_for_operator
from claude_flow.triggers.poller import Poller

LABEL = "ready-for-implementation"
WIDGETS, GADGETS = Repository("acme", "widgets"), Repository("acme", "gadgets")


class Scene:
    """Two repositories, and an engine whose runs stay as the test puts them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.github = FakeGitHub(self.clock)
        self.engine = FakeEngine(
            self.clock, max_concurrent_runs=3, max_concurrent_runs_per_repository=2
        )
        self.breaker = BreakerPolicy(failures=2, pause_seconds=600)
        self.budgets = Budgets()
        self.told_usd: dict[str, float] = {}
        self.brakes = RecordedBrakes(
            self.engine,
            breaker=lambda: self.breaker,
            budgets=lambda: self.budgets,
            clock=self.clock,
            told_usd=lambda run_id: self.told_usd.get(run_id, 0.0),
        )
        self.poller = Poller(
            self.github, self.engine, self.brakes, trigger_label=lambda: LABEL, clock=self.clock
        )
        for repository in (WIDGETS, GADGETS):
            self.github.state.add_repository(repository, permissions={"maria": "write"})

    def labelled(self, repository: Repository = WIDGETS) -> IssueRef:
        self.clock.advance(1)
        ref = self.github.state.open_issue(repository, "T", "B", "maria")
        self.github.state.label_issue(ref, LABEL, "maria")
        return ref

    def polled(self) -> list[IssueRef]:
        """The issues that a look at everything queues runs for."""
        for repository in (WIDGETS, GADGETS):
            self.poller.look(repository)
        return [run.issue for run in self.poller.admit()]

    def end(
        self, ref: IssueRef, reason: Reason = Reason.NO_CHANGES, cost_usd: float | None = None
    ) -> None:
        (run,) = self.engine.runs(issue=ref, limit=1)
        self.engine.apply(run.id, AttemptStarted(1, self.clock()))
        usage = Usage(cost_usd=cost_usd)
        self.engine.apply(run.id, AttemptEnded(1, reason, self.clock(), usage=usage))
        self.engine.apply(run.id, RunEnded(reason, self.clock()))

    def worked_off(self, reason: Reason, cost_usd: float | None = None) -> IssueRef:
        """An issue that was taken, lost its label and came to its end."""
        ref = self.labelled()
        assert self.polled() == [ref]
        self.github.state.unlabel_issue(ref, LABEL)
        self.end(ref, reason, cost_usd)
        return ref


async def park(_run_id: str, _number: int, steps: Steps) -> None:
    await steps.step("park", asyncio.Event().wait, interruptible=True)


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    scene.engine.launch(park)
    yield scene
    scene.engine.close(grace_seconds=0)


def test_a_run_tells_who_asked_and_when(scene: Scene) -> None:
    ref = scene.labelled()
    assert scene.polled() == [ref]
    (run,) = scene.engine.runs()
    assert (run.issue, run.state) == (ref, RunState.QUEUED)
    assert (run.trigger.kind, run.trigger.actor) == (TriggerKind.LABEL, "maria")
    assert run.trigger.at == scene.clock()
    assert scene.poller.waiting == 1  # its label is still there, until the claim
    assert scene.polled() == []


def test_only_as_many_as_there_are_slots_are_taken(scene: Scene) -> None:
    refs = [scene.labelled(WIDGETS) for _ in range(3)] + [scene.labelled(GADGETS) for _ in range(2)]
    assert scene.polled() == [refs[0], refs[1], refs[3]]
    assert scene.polled() == []


def test_one_label_is_one_run_also_while_it_stays(scene: Scene) -> None:
    ref = scene.labelled()
    assert scene.polled() == [ref]
    scene.end(ref)
    assert scene.polled() == []
    assert scene.poller.waiting == 0
    calls = len(scene.github.calls)
    assert scene.polled() == []
    assert len(scene.github.calls) == calls + 2  # the two lists, and nothing about the issue


def test_the_label_put_back_is_a_new_run(scene: Scene) -> None:
    ref = scene.labelled()
    scene.polled()
    scene.end(ref)
    scene.polled()
    scene.clock.advance(60)
    scene.github.state.unlabel_issue(ref, LABEL)
    scene.github.state.label_issue(ref, LABEL, "maria")
    assert scene.polled() == [ref]
    assert len(scene.engine.runs(issue=ref)) == 2


def test_a_label_put_back_during_a_run_waits_for_its_end(scene: Scene) -> None:
    ref = scene.labelled()
    scene.polled()
    scene.clock.advance(60)
    scene.github.state.unlabel_issue(ref, LABEL)
    scene.github.state.label_issue(ref, LABEL, "maria")
    assert scene.polled() == []
    scene.end(ref)
    assert scene.polled() == [ref]


def test_a_label_taken_off_in_time_was_never_a_run(scene: Scene) -> None:
    ref = scene.labelled()
    scene.github.state.unlabel_issue(ref, LABEL)
    assert scene.polled() == []
    assert scene.engine.runs() == []


def test_a_forgotten_repository_is_not_taken_from(scene: Scene) -> None:
    scene.labelled(WIDGETS)
    kept = scene.labelled(GADGETS)
    for repository in (WIDGETS, GADGETS):
        scene.poller.look(repository)
    scene.poller.forget(WIDGETS)
    assert [run.issue for run in scene.poller.admit()] == [kept]


def test_equal_failures_hold_a_repository_until_time_or_a_success_lets_it_go(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.worked_off(Reason.AGENT_FAILED)
    failing = scene.worked_off(Reason.AGENT_FAILED)
    held, other = scene.labelled(), scene.labelled(GADGETS)

    assert scene.polled() == [other]
    scene.github.state.unlabel_issue(other, LABEL)
    assert scene.polled() == []
    assert scene.poller.waiting == 0  # a daemon that works off what it found need not wait
    assert "2 runs in a row have failed here" in scene.poller.held[WIDGETS]
    scene.polled()
    assert [record.levelname for record in caplog.records].count("WARNING") == 1

    retried = submit_for_operator(scene.engine, failing, key="retry", at=scene.clock())
    assert retried is not None
    scene.clock.advance(1)
    scene.end(failing, Reason.PULL_REQUEST_OPENED)
    assert scene.polled() == [held]
    assert scene.poller.held == {}


def test_time_lets_a_held_repository_go(scene: Scene) -> None:
    scene.worked_off(Reason.AGENT_FAILED)
    scene.worked_off(Reason.AGENT_FAILED)
    held = scene.labelled()
    assert scene.polled() == []
    scene.clock.advance(600)
    assert scene.polled() == [held]


def test_what_running_agents_told_counts_before_they_end(scene: Scene) -> None:
    scene.budgets = Budgets(daily_usd=5)
    first = scene.labelled()
    assert scene.polled() == [first]
    scene.github.state.unlabel_issue(first, LABEL)
    (run,) = scene.engine.runs(issue=first)
    scene.engine.apply(run.id, AttemptStarted(1, scene.clock()))
    scene.told_usd[run.id] = 4.0
    (left,) = scene.brakes.budgets(replace(run, id="another"))
    assert (left.setting, left.left_usd) == ("claude_flow.daily_budget_usd", 1.0)
    assert scene.brakes.budgets(run)[0].left_usd == 5.0, "its own is told by its output"
    scene.told_usd[run.id] = 5.0
    scene.labelled(GADGETS)
    assert scene.polled() == []


def test_a_spent_daily_budget_holds_until_midnight(scene: Scene) -> None:
    scene.budgets = Budgets(repository_daily_usd=1.0)
    scene.worked_off(Reason.NO_CHANGES, cost_usd=1.5)
    held, other = scene.labelled(), scene.labelled(GADGETS)
    assert scene.polled() == [other]
    assert "repository_daily_budget_usd of 1.00 USD" in scene.poller.held[WIDGETS]
    assert LABEL in scene.github.state.labels(held)
    scene.clock.advance(24 * 3600)
    assert scene.polled() == [held]


def test_a_spent_budget_of_all_holds_every_repository(scene: Scene) -> None:
    scene.budgets = Budgets(daily_usd=1.0)
    scene.worked_off(Reason.NO_CHANGES, cost_usd=1.0)
    scene.labelled()
    scene.labelled(GADGETS)
    assert scene.polled() == []
    assert set(scene.poller.held) == {WIDGETS, GADGETS}
    scene.poller.forget(WIDGETS)
    assert set(scene.poller.held) == {GADGETS}


def test_an_issue_that_vanishes_stops_no_other(scene: Scene) -> None:
    scene.labelled()
    other = scene.labelled()
    scene.poller.look(WIDGETS)
    scene.github.errors.append(NotFoundError("gone"))
    assert [run.issue for run in scene.poller.admit()] == [other]
    assert scene.poller.admit() == []


def test_trouble_with_github_is_told_and_nothing_lost(scene: Scene) -> None:
    ref = scene.labelled()
    scene.poller.look(WIDGETS)
    scene.github.errors.append(GitHubUnreachableError("no answer"))
    with pytest.raises(GitHubUnreachableError):
        scene.poller.admit()
    assert [run.issue for run in scene.poller.admit()] == [ref]


def test_an_operators_request_is_a_run_unless_one_goes_on(scene: Scene) -> None:
    ref = scene.labelled()
    first = submit_for_operator(scene.engine, ref, key="one", at=scene.clock())
    assert first is not None
    assert (first.trigger.kind, first.trigger.actor) == (TriggerKind.CLI, None)
    assert submit_for_operator(scene.engine, ref, key="two", at=scene.clock()) is None
    assert scene.polled() == []
    scene.end(ref)
    second = submit_for_operator(scene.engine, ref, key="two", at=scene.clock())
    assert second is not None
    assert second.id != first.id
