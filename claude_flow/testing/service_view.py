"""A daemon as HTTP sees it, without one: everything it answers is put there by a test."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from claude_flow.daemon.health import Health, HealthFacts, assess
from claude_flow.daemon.snapshot import RunningRun, Snapshot
from claude_flow.execution.event_log import EventPosition, ToldEvent
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Reason, Run, RunState, Trigger, TriggerKind
from claude_flow.model.transitions import RunEnded, apply
from claude_flow.model.usage import UsageBy, UsageReport, since_of, usage_of
from claude_flow.ports import Progress


@dataclass
class FakeServiceView:
    """Answers from its fields; ``fault`` makes everything that reads the database fail."""

    facts: HealthFacts
    snapshot: Snapshot
    recorded: dict[str, Run] = field(default_factory=dict)
    agents: dict[str, Progress] = field(default_factory=dict)
    told: dict[str, list[ToldEvent]] = field(default_factory=dict)
    metrics_text: bytes | None = None
    fault: Exception | None = None
    refreshes: int = 0
    threads: set[str] = field(default_factory=set)

    def health(self) -> Health:
        """The judgement on ``facts``."""
        return assess(self.facts)

    def progress(self, run_id: str) -> Progress | None:
        """From ``agents``."""
        return self.agents.get(run_id)

    def refresh(self) -> None:
        """Count."""
        self.refreshes += 1

    def state(self) -> Snapshot:
        """``snapshot`` with what the recorded runs make of it."""
        runs = self._read()
        return replace(
            self.snapshot,
            counts={state: sum(run.state is state for run in runs) for state in RunState},
            running=tuple(
                RunningRun(run, self.agents.get(run.id, Progress()), 72.4)
                for run in runs
                if run.state is RunState.RUNNING
            ),
            queue=tuple(run for run in runs if run.state is RunState.QUEUED),
        )

    def metrics(self) -> bytes | None:
        """``metrics_text``."""
        self._read()
        return self.metrics_text

    def runs(self, states: Sequence[RunState], limit: int) -> list[Run]:
        """Recorded runs, newest first."""
        newest = sorted(self._read(), key=lambda run: run.created_at, reverse=True)
        return [run for run in newest if not states or run.state in states][:limit]

    def usage(self, by: UsageBy, since: str) -> UsageReport:
        """Over all recorded runs."""
        return usage_of(self._read(), by=by, since=since_of(since, self.snapshot.at))

    def run(self, run_id: str) -> Run | None:
        """From ``recorded``."""
        self._read()
        return self.recorded.get(run_id)

    def happened(self, run_id: str, after: EventPosition) -> list[ToldEvent]:
        """From ``told``."""
        return [one for one in self.told.get(run_id, []) if one.end > after]

    def cancel(self, run_id: str) -> bool:
        """End the run as its user's wish."""
        run = self.recorded[run_id]
        ended = apply(run, RunEnded(Reason.CANCELLED_BY_USER, self.snapshot.at))
        self.recorded[run_id] = ended
        return not run.state.is_final

    def submit(self, issue: IssueRef) -> Run | None:
        """Queue a new run, at most one per issue."""
        if any(run.issue == issue and not run.state.is_final for run in self._read()):
            return None
        trigger = Trigger(TriggerKind.CLI, f"again-{len(self.recorded)}")
        run = Run.queued(issue, trigger, self.snapshot.at)
        self.recorded[run.id] = run
        return run

    def _read(self) -> list[Run]:
        self.threads.add(threading.current_thread().name)
        if self.fault is not None:
            raise self.fault
        return list(self.recorded.values())
