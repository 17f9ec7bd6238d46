"""One attempt of a run, from its issue's text to its end, as durable steps.

A crash anywhere repeats at most the step it fell into. What is worked with (texts, commits,
outcomes) is what the steps returned the first time, never read anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from claude_flow import journal
from claude_flow.errors import (
    ClaudeFlowError,
    EngineError,
    NotFoundError,
    WorkflowFileError,
    WorkspaceGoneError,
)
from claude_flow.model.failures import FailureKind, ModelFailure
from claude_flow.model.issue import Issue
from claude_flow.model.retries import GiveUp, RetryPolicy, TryAgain, after_attempt
from claude_flow.model.run import Phase, Reason, Run, RunState, Usage
from claude_flow.model.transitions import (
    AttemptEnded,
    AttemptStarted,
    PhaseEntered,
    RunEnded,
    RunEvent,
    apply,
    final_state,
)
from claude_flow.ports import Brakes, Engine, Gate, Refusal, Steps
from claude_flow.workflow import kept, texts
from claude_flow.workflow.announcer import Announcer
from claude_flow.workflow.kept import Work
from claude_flow.workflow.patience import Patience
from claude_flow.workflow.publisher import Published, Publisher
from claude_flow.workflow.removal import WorkspaceRemoval
from claude_flow.workflow.worker import Worker

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _End:
    """What one attempt came to."""

    reason: Reason
    at: datetime
    detail: str | None = None
    pull_request: str | None = None
    exit_code: int | None = None
    usage: Usage = Usage()  # noqa: RUF009 - a frozen value
    failure: ModelFailure | None = None
    session_id: str | None = None
    work: Work | None = None
    max_attempts: int | None = None
    """How often the run is tried at most, as far as known without work; else that knows it."""
    was_claimed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRunner:
    """The engine's ``AttemptWorkflow``: takes one attempt through its steps."""

    engine: Engine
    gate: Gate
    brakes: Brakes
    worker: Worker
    removal: WorkspaceRemoval
    announcer: Announcer
    publisher: Publisher
    retries: Callable[[], RetryPolicy]
    draw: Callable[[], float]
    patience: Patience
    clock: Callable[[], datetime]
    redact: Callable[[str], str]
    forget_progress: Callable[[str], None]

    async def __call__(self, run_id: str, number: int, steps: Steps) -> None:
        """Take attempt ``number`` of the run to its end. Raises EngineError."""
        run = await self._apply(run_id, AttemptStarted(number, self.clock()))
        with journal.run_context(run_id, str(run.issue)):
            _log.info("attempt %d of %s begins", number, run_id)
            try:
                with journal.run_context(phase=Phase.PREPARING):
                    end = await self._work(run, steps)
            except asyncio.CancelledError:
                if not await asyncio.to_thread(self.engine.is_cancelled, run_id):
                    raise  # the daemon ends; the attempt goes on with the next one
                end = _End(Reason.CANCELLED_BY_USER, self.clock())
            try:
                await self._conclude(run, number, end, steps)
            finally:
                self.forget_progress(run_id)

    # --- the steps --------------------------------------------------------------------------

    async def _work(self, run: Run, steps: Steps) -> _End:
        try:
            admitted = kept.admission(
                run.issue,
                await steps.step("admit", lambda: self._admit(run), interruptible=True),
            )
            if isinstance(admitted, Refusal):
                return _End(
                    admitted.reason, self.clock(), admitted.why, was_claimed=run.attempt > 1
                )
            await steps.step("claim", lambda: self._claim(run))
            work = kept.work_from_json(
                await steps.step("work", lambda: self._do_work(run, admitted), interruptible=True)
            )
        except EngineError:
            raise
        except ClaudeFlowError as error:
            tries = await steps.step("tries", lambda: self.worker.max_attempts(run))
            return replace(self._failed(error), max_attempts=tries)
        if work.reason is not None:
            return self._end(work, work.reason, work.detail)
        return await self._publish(run, admitted, work, steps)

    async def _admit(self, run: Run) -> dict[str, Any]:
        try:
            found = await self.patience.call(self.gate.admit, run.issue, run.trigger)
        except NotFoundError as error:
            found = Refusal(Reason.ISSUE_CLOSED, self.redact(str(error)))
        if not isinstance(found, Refusal):
            spent = await asyncio.to_thread(self.brakes.on_attempt, run)
            if spent is not None:
                found = Refusal(Reason.BUDGET_EXCEEDED, _sentence(spent))
        return kept.admission_to_json(found)

    async def _claim(self, run: Run) -> None:
        await self.announcer.claimed(run)

    async def _do_work(self, run: Run, issue: Issue) -> dict[str, Any]:
        async def enter(phase: Phase) -> None:
            await self._enter(run, phase)

        return kept.work_to_json(await self.worker.work(run, issue, enter))

    async def _publish(self, run: Run, issue: Issue, work: Work, steps: Steps) -> _End:
        await self._enter(run, Phase.PUBLISHING)
        with journal.run_context(phase=Phase.PUBLISHING):
            try:
                published = kept.published_from_json(
                    await steps.step("publish", lambda: self._collect_and_publish(run, issue, work))
                )
            except EngineError:
                raise
            except WorkspaceGoneError as error:
                # As where this host took over what another one had worked on: once more, here.
                _log.error("%s", error)
                return self._end(work, Reason.AGENT_FAILED, self.redact(str(error)))
            except ClaudeFlowError as error:
                return self._failed(error, work)
            return self._end(work, published.reason, published.detail, published.pull_request)

    async def _collect_and_publish(self, run: Run, issue: Issue, work: Work) -> dict[str, Any]:
        changes = await self.publisher.collect(
            run, issue, work.workspace, work.target, work.ended_at
        )
        if changes is None:
            return kept.published_to_json(Published(Reason.NO_CHANGES))
        self.engine.require_lease()  # large changes take long to collect
        return kept.published_to_json(
            await self.publisher.publish(
                run, issue, work.workspace, work.target, changes, work.summary, work.fails
            )
        )

    # --- the end ----------------------------------------------------------------------------

    async def _conclude(self, run: Run, number: int, end: _End, steps: Steps) -> None:
        ended = AttemptEnded(
            number,
            end.reason,
            end.at,
            end.exit_code,
            end.usage,
            end.detail,
            None if end.failure is None else end.failure.kind,
            end.session_id,
        )
        policy = self.retries()
        max_attempts = end.max_attempts if end.work is None else end.work.max_attempts
        if max_attempts is not None:
            policy = replace(policy, max_attempts=max_attempts)
        following = after_attempt(
            apply(run, ended), end.failure, policy, now=self.clock(), draw=self.draw()
        )
        match following:
            case TryAgain():
                await self._try_again(run, ended, following, steps)
            case GiveUp():
                run = await self._apply(run.id, ended)
                end = replace(end, detail=_sentences(end.detail, following.why))
                await self._finish(run, following.reason, end, steps)

    async def _try_again(
        self, run: Run, ended: AttemptEnded, following: TryAgain, steps: Steps
    ) -> None:
        begins_at = self.clock() + timedelta(seconds=following.delay_seconds)
        if following.waits_for is not None:
            wait = texts.model_wait(following.waits_for, begins_at)
            ended = replace(ended, detail=_sentences(wait, ended.detail))
        run = await self._apply(run.id, ended)
        _log.warning(
            "attempt %d of %s ended: %s; the next begins in %.0f s",
            ended.number,
            run.id,
            _told(ended.reason, ended.detail),
            following.delay_seconds,
        )

        async def tell() -> None:
            await self.announcer.waiting(run, begins_at, following.waits_for)

        await steps.step("tell", tell)
        await asyncio.to_thread(
            self.engine.retry, run.id, following.number, following.delay_seconds
        )

    async def _finish(self, run: Run, reason: Reason, end: _End, steps: Steps) -> None:
        ended = RunEnded(reason, end.at, end.pull_request, end.detail)
        stopped = await asyncio.to_thread(self.brakes.after, apply(run, ended))
        if stopped is not None:
            _log.warning("%s: %s", run.issue.repository, stopped)
            end = replace(end, detail=_sentences(end.detail, stopped))

        async def tell() -> None:
            if end.was_claimed:
                await self.announcer.ended(
                    run, reason, detail=end.detail, pull_request=end.pull_request
                )
            else:
                await self.announcer.refused(run, reason, detail=end.detail)

        await steps.step("tell", tell)
        if final_state(reason) is not RunState.FAILED:  # a failed one's is kept for a while
            target = None if end.work is None else end.work.target
            await self.removal.remove(run.id, run, target)
        await self._apply(run.id, RunEnded(reason, self.clock(), end.pull_request, end.detail))
        _log.info("%s ended: %s", run.id, _told(reason, end.pull_request or end.detail))

    def _failed(self, error: Exception, work: Work | None = None) -> _End:
        """The work could not be done for a reason outside the agent."""
        _log.error("%s", error)
        detail = self.redact(str(error))
        if isinstance(error, WorkflowFileError):
            failure = ModelFailure(FailureKind.WORKFLOW_FILE)
            return _End(Reason.AGENT_FAILED, self.clock(), detail, failure=failure)
        if work is None:
            return _End(Reason.AGENT_FAILED, self.clock(), detail)
        return self._end(work, Reason.PUBLISH_REJECTED, detail)

    def _end(
        self, work: Work, reason: Reason, detail: str | None, pull_request: str | None = None
    ) -> _End:
        return _End(
            reason,
            work.ended_at,
            detail,
            pull_request,
            work.exit_code,
            work.usage,
            work.failure,
            work.session_id,
            work,
        )

    async def _enter(self, run: Run, phase: Phase) -> None:
        await self._apply(run.id, PhaseEntered(phase))

    async def _apply(self, run_id: str, event: RunEvent) -> Run:
        return await asyncio.to_thread(self.engine.apply, run_id, event)


def _sentences(*texts: str | None) -> str | None:
    """Those texts that there are; None for none, one alone as it is."""
    told = [text for text in texts if text]
    return " ".join(map(_sentence, told)) if len(told) > 1 else next(iter(told), None)


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _told(reason: Reason, more: str | None) -> str:
    return f"{reason} ({more})" if more else str(reason)
