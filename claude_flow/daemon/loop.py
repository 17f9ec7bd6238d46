"""The daemon's one loop: each turn watches the engine, polls what is due, admits, notes ends.

Its pings keep the watchdog quiet, so they come only after a turn that did its work, and only
while the request to GitHub that it has under way is younger than a turn may be.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from claude_flow.daemon.workings import Workings
from claude_flow.errors import ClaudeFlowError, EngineError, GitHubError
from claude_flow.model.issue import Repository
from claude_flow.model.run import Reason, Run, RunState

_log = logging.getLogger(__name__)

_TURN_SECONDS = 1.0
_ACTIVE = (RunState.QUEUED, RunState.RUNNING)


class Loop:
    """Turns until ``stop``; everything that blocks is done in threads."""

    def __init__(self, workings: Workings, *, ping: Callable[[], None]) -> None:
        self._parts = workings.parts
        self._schedule = workings.schedule
        self._pulse = workings.pulse
        self._metrics = workings.metrics
        self._monotonic = workings.monotonic
        self._ping = ping
        self._wake = asyncio.Event()
        self._active: dict[str, Run] = {}
        self._asking: asyncio.Task[None] | None = None
        self._asking_since = 0.0
        self._is_settling = False
        self._announcing: set[asyncio.Task[None]] = set()
        self._looked: set[Repository] = set()
        self._failed: set[Repository] = set()

    def wake(self) -> None:
        """Take the next turn now. For other threads by ``call_soon_threadsafe``."""
        self._wake.set()

    @property
    def looked_everywhere(self) -> bool:
        """Whether every repository was asked for at least once, successfully or not."""
        return set(self._schedule.repositories) <= self._looked | self._failed

    @property
    def unreached(self) -> set[Repository]:
        """Repositories whose latest poll failed."""
        return set(self._failed)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is active, asked for or waiting for a place."""
        asking = self._asking is not None and not self._asking.done()
        return not (asking or self._active or self._announcing or self._parts.poller.waiting)

    async def turn(self, *, polls: bool = True) -> None:
        """One turn; trouble outside goes to the pulse and the log.

        Without ``polls`` it only works off what is known to wait.
        """
        await self._look_at_engine()
        if self._asking is not None and self._asking.done():
            self._asking.result()
            self._asking = None
        if self._asking is None and self._pulse.database_fault is None:
            self._asking_since = self._monotonic()
            self._asking = asyncio.create_task(self._ask(polls=polls))
        if self._asking is None or self._is_young(self._asking_since):
            self._pulse.ticked = self._monotonic()
            self._ping()

    async def pause(self) -> None:
        """Wait for the next turn: a second, or until somebody wakes the loop."""
        begun = self._monotonic()
        try:
            await asyncio.wait_for(self._wake.wait(), _TURN_SECONDS)
        except TimeoutError:
            self._metrics.loop_lag(max(0.0, self._monotonic() - begun - _TURN_SECONDS))
        self._wake.clear()

    async def settle(self) -> None:
        """Wait for what is under way with GitHub; ask for nothing more."""
        self._is_settling = True
        under_way = [task for task in (self._asking, *self._announcing) if task is not None]
        if under_way:
            await asyncio.wait(under_way, timeout=self._pulse.tick_limit_seconds)

    def _is_young(self, since: float) -> bool:
        return self._monotonic() - since < self._pulse.tick_limit_seconds

    # --- the engine -------------------------------------------------------------------------

    async def _look_at_engine(self) -> None:
        try:
            await asyncio.to_thread(self._parts.engine.check)
            active = await asyncio.to_thread(lambda: self._parts.engine.runs(states=_ACTIVE))
            ended = [run_id for run_id in self._active if run_id not in {r.id for r in active}]
            self._active = {run.id: run for run in active}
            for run_id in ended:
                await self._note_end(run_id)
        except EngineError as error:
            if self._pulse.database_fault is None:
                _log.error("%s", error)
            self._pulse.database_fault = str(error)
        else:
            if self._pulse.database_fault is not None:
                _log.info("the database answers again")
            self._pulse.database_fault = None

    async def _note_end(self, run_id: str) -> None:
        run = await asyncio.to_thread(self._parts.engine.get, run_id)
        if run is None:
            return
        self._metrics.run_ended(run)
        for attempt in run.attempts:
            self._metrics.attempt_ended(attempt, run.issue.repository)
        self._schedule.hurry(self._monotonic(), run.issue.repository)
        if run.reason is Reason.CANCELLED_BY_USER or run.reason is Reason.AGENT_FAILED:
            # Ended by the engine perhaps, which does not speak to GitHub; saying it twice is
            # saying it once.
            task = asyncio.create_task(self._announce(run))
            self._announcing.add(task)
            task.add_done_callback(self._announcing.discard)

    async def _announce(self, run: Run) -> None:
        if run.reason is None:
            return
        try:
            if run.attempts:
                await self._parts.announcer.ended(
                    run, run.reason, detail=run.detail, pull_request=run.pull_request
                )
            else:
                await self._parts.announcer.refused(run, run.reason, detail=run.detail)
        except ClaudeFlowError as error:
            _log.warning("cannot tell %s how %s ended: %s", run.issue, run.id, error)

    # --- GitHub -----------------------------------------------------------------------------

    async def _ask(self, *, polls: bool) -> None:
        """Take what waits, then go once round the repositories that are due.

        What a repository brought is taken before the next is asked: the first one's issues do
        not wait for the hundredth's answer.
        """
        await self._admit()
        for _ in self._schedule.repositories if polls else ():
            repository = self._schedule.due(self._monotonic())
            if repository is None or self._is_settling:
                return
            await self._poll(repository)
            await self._admit()

    async def _poll(self, repository: Repository) -> None:
        self._asking_since = self._monotonic()
        try:
            await asyncio.to_thread(self._parts.poller.look, repository)
        except GitHubError as error:
            self._metrics.polled("failed")
            self._failed.add(repository)
            news = self._schedule.failed(repository, error, self._monotonic())
            if news:
                _log.error("cannot poll %s: %s", repository, news)
        else:
            self._metrics.polled("ok")
            self._looked.add(repository)
            self._failed.discard(repository)
            news = self._schedule.succeeded(repository, self._monotonic())
            if news:
                _log.info("%s", news)

    async def _admit(self) -> None:
        if self._schedule.fault is not None or self._is_settling:
            return
        self._asking_since = self._monotonic()
        try:
            admitted = await asyncio.to_thread(self._parts.poller.admit)
        except GitHubError as error:
            news = self._schedule.failed(None, error, self._monotonic())
            if news:
                _log.warning("cannot take new issues: %s", news)
        except EngineError as error:
            _log.warning("cannot queue new runs: %s", error)
        else:
            self._active.update({run.id: run for run in admitted})
            if admitted:
                self.wake()
