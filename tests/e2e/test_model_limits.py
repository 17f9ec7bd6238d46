"""The model says no: a usage limit is waited for, a refused key is not; budgets end an agent."""

from __future__ import annotations

from pathlib import Path

from claude_flow.testing.daemon_process import until
from claude_flow.testing.installation import Installation

SAY = """
import json
def say(**event): print(json.dumps(event), flush=True)
"""
LIMIT = """
if not os.path.exists({flag!r}):
    Path({flag!r}).touch()
    say(type="rate_limit_event",
        rate_limit_info=dict(status="rejected", resetsAt=int(time.time()) + 2))
    say(type="result", subtype="success", is_error=True, api_error_status=429, result="Too much")
    sys.exit(1)
say(type="result", subtype="success", is_error=False, result="Done", permission_denials=[])
Path("greeting.txt").write_text("Hello!\\n")
"""
REFUSED = """
say(type="result", subtype="success", is_error=True, api_error_status=401, result="Invalid key")
sys.exit(1)
"""
# Each task begins after the one before told what all of them cost.
SPENDS = """
Path("greeting.txt").write_text("Hello!\\n")
for cost in (1.0, 2.5):
    say(type="assistant", message=dict(content=[dict(type="text", text="At work")]))
    say(type="result", subtype="success", is_error=False, total_cost_usd=cost)
say(type="assistant", message=dict(content=[dict(type="text", text="And on")]))
time.sleep(600)
"""


def test_a_usage_limit_is_waited_for_and_costs_no_attempt(
    installation: Installation, tmp_path: Path
) -> None:
    installation.configure(claude_flow={"max_attempts": 1})
    flag = str(tmp_path / "told")
    issue = installation.issue(
        installation.add_repository("acme/widgets"), SAY + LIMIT.format(flag=flag)
    )
    github = installation.world.github
    daemon = installation.start()

    # It says on the issue what it waits for, and goes on by itself.
    until(
        lambda: any("limit is reached until" in one.body for one in github.comments(issue)),
        daemon.last_words,
    )
    assert github.pull_requests(issue.repository) == []
    run = installation.ended(daemon, issue)

    assert (run["state"], run["reason"]) == ("succeeded", "pull_request_opened")
    assert len(run["attempts"]) == 2
    assert len(github.pull_requests(issue.repository)) == 1
    assert len(github.comments(issue)) == 1
    assert github.labels(issue) == {"claude-flow:done"}
    assert daemon.stop() == 0


def test_a_refused_key_ends_the_run_at_once_and_is_told(installation: Installation) -> None:
    installation.configure(claude_flow={"max_attempts": 3})
    issue = installation.issue(installation.add_repository("acme/widgets"), SAY + REFUSED)
    daemon = installation.start()

    run = installation.ended(daemon, issue)

    assert (run["state"], run["reason"]) == ("failed", "agent_failed")
    assert len(run["attempts"]) == 1
    (comment,) = installation.world.github.comments(issue)
    assert "ANTHROPIC_API_KEY" in comment.body
    assert installation.world.github.labels(issue) == {"claude-flow:failed"}
    assert daemon.stop() == 0


def test_an_agent_that_goes_on_without_money_is_stopped(installation: Installation) -> None:
    installation.configure(claude_flow={"daily_budget_usd": 2.0})
    issue = installation.issue(installation.add_repository("acme/widgets"), SAY + SPENDS)
    daemon = installation.start()

    run = installation.ended(daemon, issue)

    assert (run["state"], run["reason"]) == ("failed", "budget_exceeded")
    (attempt,) = run["attempts"]
    assert (attempt["failure"], attempt["cost_usd"]) == ("budget", 2.5)
    (comment,) = installation.world.github.comments(issue)
    assert "claude_flow.daily_budget_usd of 2.00 USD is used up (2.50 USD spent)" in comment.body
    assert installation.world.github.pull_requests(issue.repository) == []
    assert daemon.stop() == 0
