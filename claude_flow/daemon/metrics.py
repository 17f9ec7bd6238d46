"""The daemon's numbers in Prometheus' text form, in a registry of their own."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from claude_flow.daemon.snapshot import Snapshot
from claude_flow.model.issue import Repository
from claude_flow.model.run import Attempt, Run, RunState

# An attempt takes from seconds (a refused key) to the wall clock's default of an hour.
_ATTEMPT_BUCKETS = (5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


class Metrics:
    """Counters that the daemon feeds; gauges are read off a snapshot at each scrape.

    All methods may be called from any thread.
    """

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        Info("claude_flow_build", "The running release.", registry=self._registry).info(
            {"version": version}
        )
        self._runs_ended = Counter(
            "claude_flow_runs_ended",
            "Runs that ended since the start, by state and reason.",
            ["state", "reason"],
            registry=self._registry,
        )
        self._attempt_seconds = Histogram(
            "claude_flow_attempt_seconds",
            "How long ended attempts took, by reason.",
            ["reason"],
            buckets=_ATTEMPT_BUCKETS,
            registry=self._registry,
        )
        self._turns = self._used("claude_flow_agent_turns", "Agents' turns since the start.")
        self._tokens = self._used("claude_flow_agent_tokens", "Input and output tokens since then.")
        self._cost_usd = self._used("claude_flow_agent_cost_usd", "US dollars since the start.")
        self._polls = Counter(
            "claude_flow_polls",
            "Polls of a repository, by result.",
            ["result"],
            registry=self._registry,
        )
        self._loop_lag = Gauge(
            "claude_flow_loop_lag_seconds",
            "How much later than asked the loop last woke up.",
            registry=self._registry,
        )

    def run_ended(self, run: Run) -> None:
        """Count a run that has just become final."""
        self._runs_ended.labels(run.state, run.reason or "").inc()

    def _used(self, name: str, documentation: str) -> Counter:
        # As many values as there are repositories in the configuration.
        return Counter(name, documentation, ["repository"], registry=self._registry)

    def attempt_ended(self, attempt: Attempt, repository: Repository) -> None:
        """Count an ended attempt; one that never started has no length, which is left out."""
        used, name = attempt.usage, str(repository).lower()
        self._turns.labels(name).inc(used.turns or 0)
        self._tokens.labels(name).inc(used.tokens or 0)
        self._cost_usd.labels(name).inc(used.cost_usd or 0)
        if attempt.started_at is None or attempt.ended_at is None:
            return
        seconds = (attempt.ended_at - attempt.started_at).total_seconds()
        self._attempt_seconds.labels(attempt.reason or "").observe(max(seconds, 0))

    def polled(self, result: str) -> None:
        """Count a poll of one repository; ``result`` is one of a few fixed words."""
        self._polls.labels(result).inc()

    def loop_lag(self, seconds: float) -> None:
        """Note how much later than asked the loop woke up."""
        self._loop_lag.set(seconds)

    def render(self, snapshot: Snapshot) -> bytes:
        """The text of ``GET /metrics``."""
        moment = CollectorRegistry()
        moment.register(_SnapshotCollector(snapshot))
        return generate_latest(self._registry) + generate_latest(moment)


class _SnapshotCollector(Collector):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        snapshot = self._snapshot
        runs = GaugeMetricFamily("claude_flow_runs", "Recorded runs, by state.", labels=["state"])
        for state in RunState:
            runs.add_metric([state.value], snapshot.count(state))
        yield runs
        yield _gauge("claude_flow_queue_depth", "Runs that wait.", snapshot.count(RunState.QUEUED))
        yield _gauge(
            "claude_flow_max_concurrent_runs",
            "Runs that this host takes at once.",
            snapshot.max_concurrent_runs,
        )
        yield _gauge(
            "claude_flow_uptime_seconds", "Since the daemon's start.", snapshot.uptime_seconds
        )
        yield _gauge(
            "claude_flow_repositories_held",
            "Repositories whose issues are not taken for now: failures, or a spent budget.",
            len(snapshot.held),
        )
        if snapshot.rate_limit is not None:
            yield _gauge(
                "claude_flow_github_requests_remaining",
                "GitHub requests left in this hour.",
                snapshot.rate_limit.remaining,
            )
            yield _gauge(
                "claude_flow_github_requests_limit",
                "GitHub requests allowed per hour.",
                snapshot.rate_limit.limit,
            )


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=value)
