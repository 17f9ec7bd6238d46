"""From labelled issues to queued runs, on a GitHub and an engine in memory."""

import asyncio
from collections.abc import Iterator

import pytest

from claude_flow.errors import GitHubUnreachableError, NotFoundError
from claude_flow.model.issue import IssueRef, Repository
from claude_flow.model.run import Reason, RunState, TriggerKind
from claude_flow.model.transitions import AttemptEnded, AttemptStarted, RunEnded
from claude_flow.ports import Steps
from claude_flow.testing.clock import FakeClock
from claude_flow.testing.fake_engine import FakeEngine
from claude_flow.testing.fake_github import FakeGitHub
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
        self.poller = Poller(
            self.github, self.engine, trigger_label=lambda: LABEL, clock=self.clock
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

    def end(self, ref: IssueRef) -> None:
        (run,) = self.engine.runs(issue=ref, limit=1)
        self.engine.apply(run.id, AttemptStarted(1, self.clock()))
        self.engine.apply(run.id, AttemptEnded(1, Reason.NO_CHANGES, self.clock()))
        self.engine.apply(run.id, RunEnded(Reason.NO_CHANGES, self.clock()))


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
