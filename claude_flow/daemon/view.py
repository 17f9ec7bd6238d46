"""What the HTTP side sees of the daemon."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from claude_flow.daemon.health import Health, HealthFacts, assess
from claude_flow.daemon.snapshot import RunningRun, Snapshot
from claude_flow.daemon.workings import Workings
from claude_flow.execution.event_log import EventPosition, ToldEvent
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Run, RunState
from claude_flow.model.usage import UsageBy, UsageReport
from claude_flow.ports import Progress
from claude_flow.settings import usage_report
from claude_flow.triggers.operator import submit_for_operator
from claude_flow.version import __version__
from claude_flow.workspace import Space, SpaceWatch


class DaemonView:
    """``daemon.http.ServiceView`` over the wired parts."""

    def __init__(self, workings: Workings, *, wake: Callable[[], None]) -> None:
        self._parts = workings.parts
        self._schedule = workings.schedule
        self._pulse = workings.pulse
        self._metrics = workings.metrics
        self._monotonic = workings.monotonic
        self._wake = wake

    def health(self) -> Health:
        """The judgement on the latest facts."""
        space = _space(self._parts.space)
        faults = [self._schedule.fault, *self._schedule.faults.values()]
        return assess(
            HealthFacts(
                at=self._parts.clock(),
                version=__version__,
                seconds_since_tick=self._monotonic() - self._pulse.ticked,
                tick_limit_seconds=self._pulse.tick_limit_seconds,
                database_fault=self._pulse.database_fault,
                github=self._schedule.status,
                github_fault="; ".join(fault for fault in faults if fault) or None,
                configuration_fault=self._pulse.configuration_fault,
                disk_free_bytes=None if space is None else space.free_bytes,
                disk_fault=str(space) if space is not None and space.is_low else None,
                held=self._held(),
                is_stopping=self._pulse.is_stopping,
            )
        )

    def progress(self, run_id: str) -> Progress | None:
        """What the run's agent last said on this host."""
        return self._parts.progress.by_run.get(run_id)

    def refresh(self) -> None:
        """Poll everything at once."""
        self._schedule.hurry(self._monotonic())
        self._wake()

    def state(self) -> Snapshot:
        """What is going on right now."""
        config, now = self._parts.config, self._parts.clock()
        runs = self._parts.engine.runs(states=(RunState.QUEUED, RunState.RUNNING))
        return Snapshot(
            at=now,
            version=__version__,
            web_url=config.get("github.git_base_url"),
            repositories=tuple(str(repository) for repository in self._schedule.repositories),
            max_concurrent_runs=config.get("service.max_concurrent_runs"),
            uptime_seconds=self._monotonic() - self._pulse.started,
            next_poll_seconds=self._schedule.seconds_to_next(self._monotonic()),
            counts=self._parts.engine.counts(),
            running=tuple(
                RunningRun(
                    run,
                    self._parts.progress.by_run.get(run.id, Progress()),
                    _seconds_of_attempt(run, now.timestamp()),
                )
                for run in runs
                if run.state is RunState.RUNNING
            ),
            queue=tuple(run for run in reversed(runs) if run.state is RunState.QUEUED),
            rate_limit=self._parts.github.rate_limit(),
            held=self._held(),
        )

    def _held(self) -> dict[str, str]:
        return {str(repository): why for repository, why in self._parts.poller.held.items()}

    def metrics(self) -> bytes | None:
        """Prometheus' text, None if metrics are off."""
        if not self._parts.config.get("monitoring.metrics_enabled"):
            return None
        return self._metrics.render(self.state())

    def usage(self, by: UsageBy, since: str) -> UsageReport:
        """What agents used since a day. Raises UsageError for one that cannot be."""
        return usage_report(
            self._parts.engine, self._parts.config, by=by, since=since, now=self._parts.clock()
        )

    def runs(self, states: Sequence[RunState], limit: int) -> list[Run]:
        """Runs, newest first."""
        return self._parts.engine.runs(states=states, limit=limit)

    def run(self, run_id: str) -> Run | None:
        """The run, or None."""
        return self._parts.engine.get(run_id)

    def happened(self, run_id: str, after: EventPosition) -> list[ToldEvent]:
        """What happened next in the run's attempts on this host. Raises OSError."""
        return self._parts.events.after(run_id, after)

    def cancel(self, run_id: str) -> bool:
        """Ask for the end of a run; False if it is final."""
        asked = self._parts.engine.cancel(run_id)
        self._wake()
        return asked

    def submit(self, issue: IssueRef) -> Run | None:
        """A new run on the issue for this host's operator; None while it has an active run."""
        run = submit_for_operator(
            self._parts.engine, issue, key=uuid.uuid4().hex, at=self._parts.clock()
        )
        self._wake()
        return run


def _seconds_of_attempt(run: Run, now: float) -> float:
    started = run.attempts[-1].started_at if run.attempts else None
    return 0.0 if started is None else max(0.0, now - started.timestamp())


def _space(watch: SpaceWatch) -> Space | None:
    try:
        return watch.look()
    except OSError:
        return None
