"""A repository's own workflow file through the real daemon: prompt, hooks, checks, faults."""

from __future__ import annotations

from claude_flow.testing.installation import Installation
from claude_flow.testing.world import World

PATH = ".github/claude-flow.md"
CHECKED = """\
---
max_turns: 5
hooks:
  after_create: |
    echo made > "$TMPDIR/../made"
  before_run: |
    test -f "$TMPDIR/../made"
    echo "begun ${ANTHROPIC_API_KEY:-without a key}"
  after_run: echo over
  before_remove: echo gone
verify:
  commands:
    - grep -q right answer.txt || { echo "answer.txt is $(cat answer.txt)"; exit 1; }
  rounds: 1
---
Issue {{ issue.number }}: {{ issue.title }}

{{ issue.body }}

{% if feedback %}
These checks fail:

{{ feedback }}
{% endif %}
"""
# The prompt tells the agent that the checks failed; the issue's own text must not say it as well.
MENDS = "Path('answer.txt').write_text('right' if 'These checks' + ' fail' in prompt else 'wrong')"


def test_hooks_run_and_what_the_checks_say_is_mended(
    installation: Installation, world: World
) -> None:
    repository = installation.add_repository("acme/checked", {PATH: CHECKED})
    installation.environ["ANTHROPIC_API_KEY"] = "sk-not-for-commands"
    daemon = installation.start()
    issue = installation.issue(repository, MENDS)
    run = installation.ended(daemon, issue)
    assert (run["reason"], run["attempt"]) == ("pull_request_opened", 1), run
    (pull,) = world.github.pull_requests(repository)
    assert world.github.files(repository, pull.head)["answer.txt"] == "right"
    assert "checks" not in pull.body.lower()

    attempt = installation.state / "runs" / run["id"] / "1"
    said = {
        part.name: (part / "stdout.log").read_text(encoding="utf-8")
        for part in attempt.iterdir()
        if part.name.startswith(("hook-", "verify-"))
    }
    assert said == {
        "hook-after-create": "",
        "hook-before-run": "begun without a key\n",
        "verify-1-1": "answer.txt is wrong\n",
        "verify-2-1": "",
        "hook-after-run": "over\n",
        "hook-before-remove": "gone\n",
    }
    assert (attempt / "prompt").read_text(encoding="utf-8").startswith(f"Issue {issue.number}: ")
    again = (attempt / "agent-2" / "prompt").read_text(encoding="utf-8")
    assert "answer.txt is wrong" in again
    assert daemon.stop() == 0


def test_what_cannot_be_mended_is_told_in_a_draft(installation: Installation, world: World) -> None:
    installation.configure(github={"pull_request": {"draft": False}})
    repository = installation.add_repository("acme/stubborn", {PATH: CHECKED})
    daemon = installation.start()
    issue = installation.issue(repository, "Path('answer.txt').write_text('wrong')")
    run = installation.ended(daemon, issue)
    assert run["reason"] == "pull_request_opened", run
    (pull,) = world.github.pull_requests(repository)
    assert pull.is_draft
    assert "answer.txt is wrong" in pull.body
    assert daemon.stop() == 0


def test_a_faulty_file_is_told_on_the_issue_and_its_mend_counts(
    installation: Installation, world: World
) -> None:
    repository = installation.add_repository("acme/faulty", {PATH: "---\nmax_turn: 5\n---\n"})
    daemon = installation.start()
    issue = installation.issue(repository, "Path('done.txt').write_text('done')")
    run = installation.ended(daemon, issue)
    assert (run["state"], run["reason"], run["attempt"]) == ("failed", "agent_failed", 1)
    (comment,) = world.github.comments(issue)
    assert f"{PATH}, line 2: max_turn is no key of a workflow file" in comment.body

    world.github.commit(repository, "main", {PATH: "{{ issue.body }}\n"})
    world.github.label_issue(issue, "ready-for-implementation", "maria")
    assert installation.ended(daemon, issue, 2)["reason"] == "pull_request_opened"
    assert daemon.stop() == 0
