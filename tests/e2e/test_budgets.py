"""Claude Code itself under the real daemon: what is left of a day's budget bounds it."""

from __future__ import annotations

from claude_flow.testing.installation import Installation
from tests.e2e.test_resume import MAKE, WIDGETS, ask, host
from tests.real_agents import installed

__all__ = ["host", "installed"]


def test_the_second_issue_of_a_day_gets_what_the_first_left(host: Installation) -> None:
    host.world.messages.script(MAKE)
    daemon = host.start()
    first = host.ended(daemon, ask(host))
    assert first["reason"] == "pull_request_opened"
    assert daemon.stop() == 0

    # One turn of two is about half of it: none fits into the tenth that is left.
    host.configure(claude_flow={"daily_budget_usd": first["usage"]["cost_usd"] * 1.1})
    daemon = host.start()
    issue = ask(host)
    second = host.ended(daemon, issue)

    assert (second["state"], second["reason"]) == ("failed", "budget_exceeded")
    (attempt,) = second["attempts"]
    assert attempt["failure"] == "budget"
    assert attempt["cost_usd"] < first["usage"]["cost_usd"], "it was not let to its end"
    assert "what was left of the budget claude_flow.daily_budget_usd" in second["detail"]
    (comment,) = host.world.github.comments(issue)
    assert "claude_flow.daily_budget_usd" in comment.body
    assert len(host.world.github.pull_requests(WIDGETS)) == 1
    assert daemon.stop() == 0
