from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families

from claude_flow.daemon.metrics import Metrics
from claude_flow.model.issue import Repository
from claude_flow.model.run import Attempt, Reason, Run, RunState, Usage
from claude_flow.ports import RateLimit
from claude_flow.testing.service_view import FakeServiceView

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What a Prometheus server would make of the text."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_counts_what_it_is_told(view: FakeServiceView, make_run: Callable[..., Run]) -> None:
    metrics = Metrics("1.2.3")
    failed = make_run(1, RunState.FAILED)
    metrics.run_ended(failed)
    metrics.run_ended(failed)
    metrics.attempt_ended(
        Attempt(
            1,
            NOW,
            NOW + timedelta(seconds=45),
            Reason.AGENT_FAILED,
            exit_code=1,
            usage=Usage(turns=3, tokens=1200, cost_usd=0.25),
        ),
        failed.issue.repository,
    )
    metrics.polled("ok")
    metrics.loop_lag(0.5)

    found = samples(metrics.render(view.state()))

    assert found["claude_flow_build_info", (("version", "1.2.3"),)] == 1
    ended = (("reason", "agent_failed"), ("state", "failed"))
    assert found["claude_flow_runs_ended_total", ended] == 2
    reason = ("reason", "agent_failed")
    assert found["claude_flow_attempt_seconds_sum", (reason,)] == 45
    assert found["claude_flow_attempt_seconds_bucket", (("le", "30.0"), reason)] == 0
    assert found["claude_flow_attempt_seconds_bucket", (("le", "60.0"), reason)] == 1
    repository = (("repository", "acme/widgets"),)
    assert found["claude_flow_agent_turns_total", repository] == 3
    assert found["claude_flow_agent_tokens_total", repository] == 1200
    assert found["claude_flow_agent_cost_usd_total", repository] == 0.25
    assert found["claude_flow_polls_total", (("result", "ok"),)] == 1
    assert found["claude_flow_loop_lag_seconds", ()] == 0.5


def test_gauges_follow_the_snapshot(view: FakeServiceView, make_run: Callable[..., Run]) -> None:
    metrics = Metrics("1.2.3")
    for number in (1, 2):
        run = make_run(number, RunState.QUEUED)
        view.recorded[run.id] = run

    found = samples(metrics.render(view.state()))
    assert found["claude_flow_queue_depth", ()] == 2
    assert found["claude_flow_repositories_held", ()] == 0
    assert found["claude_flow_runs", (("state", "queued"),)] == 2
    assert found["claude_flow_runs", (("state", "failed"),)] == 0

    view.recorded.clear()
    assert samples(metrics.render(view.state()))["claude_flow_queue_depth", ()] == 0


def test_requests_left_are_absent_until_github_told(view: FakeServiceView) -> None:
    metrics = Metrics("1.2.3")
    name = ("claude_flow_github_requests_remaining", ())
    assert name not in samples(metrics.render(view.snapshot))

    told = replace(view.snapshot, rate_limit=RateLimit(5000, 4321, NOW))
    assert samples(metrics.render(told))[name] == 4321


def test_an_attempt_that_never_began_has_no_length(view: FakeServiceView) -> None:
    metrics = Metrics("1.2.3")
    metrics.attempt_ended(Attempt(1, None, NOW, Reason.UNTRUSTED), Repository("acme", "widgets"))
    assert b"claude_flow_attempt_seconds_count" not in metrics.render(view.state())


def test_two_daemons_in_one_process_do_not_share_numbers(view: FakeServiceView) -> None:
    one, other = Metrics("1.2.3"), Metrics("1.2.3")
    one.polled("ok")
    assert b'claude_flow_polls_total{result="ok"}' in one.render(view.state())
    assert b'claude_flow_polls_total{result="ok"}' not in other.render(view.state())
