"""What is written to issues and pull requests, whatever an agent or a stranger wrote before."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.model.failures import FailureKind
from claude_flow.model.issue import Issue, IssueRef
from claude_flow.model.retries import Remedy, remedy
from claude_flow.model.run import Attempt, Reason, Run, Trigger, TriggerKind
from claude_flow.ports import Comment
from claude_flow.workflow import texts
from claude_flow.workflow.briefing import variables

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
REF = IssueRef.parse("acme/widgets#7")
RUN = replace(
    Run.queued(REF, Trigger(TriggerKind.LABEL, "1"), NOW),
    attempts=(Attempt(1, reason=Reason.TIMED_OUT),),
)
NASTY = st.text() | st.text("`~<!->@#/ \nclosefixresolvGH7aé", max_size=80)
# What GitHub reads as "closes": a keyword, perhaps a colon, and a reference in any form.
CLOSING = re.compile(
    r"(?i)\b(close[sd]?|fix|fixe[sd]|resolve[sd]?):?\s+"
    r"([\w.-]+/[\w.-]+#\d|#\d|GH-\d|https?://\S+/(issues|pull)/\d)"
)
MENTION = re.compile(r"(?<!\w)@[A-Za-z0-9]")


def issue(title: str = "Title", body: str = "Body") -> Issue:
    return Issue(
        ref=REF,
        title=title,
        body=body,
        labels=frozenset(),
        author="stranger",
        is_open=True,
        is_pull_request=False,
        created_at=NOW,
        updated_at=NOW,
        url="",
    )


def pull_request(summary: str | None) -> str:
    return texts.pull_request_body(RUN, summary=summary, agent="command", files=1)


def ended(reason: Reason, detail: str | None = None, pull_request: str | None = None) -> str:
    return texts.ended_comment(
        RUN, reason, detail=detail, pull_request=pull_request, label="do it, please"
    )


@given(NASTY)
def test_a_pull_request_closes_its_issue_and_no_other(summary: str) -> None:
    body = pull_request(summary)
    assert body.startswith("Closes #7\n")
    found = [match[0] for match in CLOSING.finditer(body)]
    assert found == ["Closes #7"]
    assert not MENTION.search(body)
    assert body.count("<!--") == 1
    assert f"<!-- claude-flow:run={RUN.id} -->" in body


@pytest.mark.parametrize(
    "words",
    [
        *("Closes #3", "closed: #3", "FIX #3", "fixes\n#3", "Resolves acme/other#3"),
        *("resolve GH-3", "Fixed https://github.com/acme/other/issues/3", "closes (#3"),
        *("see @octocat", "`@octocat", "(@acme/team)", "\n@octocat"),
    ],
)
def test_an_agents_words_ring_and_close_nothing(words: str) -> None:
    body = pull_request(f"I did it. {words} and more.")
    assert [match[0] for match in CLOSING.finditer(body)] == ["Closes #7"]
    assert not MENTION.search(body)
    assert words.replace(" ", "") in body.replace("\u200b", "").replace(" ", "")


@pytest.mark.parametrize(
    "words", ["mail me at ada@example.org", "a fix for issue 3", "see #3", "prefixes #3", "x @ y"]
)
def test_ordinary_words_stay(words: str) -> None:
    assert words in pull_request(words)


def test_an_unclosed_block_of_code_swallows_no_closing_word() -> None:
    body = pull_request("Look:\n```python\nprint(1)")
    assert body.index("Closes #7") < body.index("```")


def test_a_summary_is_bounded_and_a_missing_one_is_said() -> None:
    assert len(pull_request("x" * 1_000_000)) < 65_536
    assert "(shortened)" in pull_request("x" * 1_000_000)
    assert "The agent left no summary." in pull_request(None)
    assert "The agent left no summary." in pull_request(" \n")


@given(NASTY, st.sampled_from(Reason))
def test_the_comment_has_one_marker_first_and_rings_nobody(detail: str, reason: Reason) -> None:
    waiting = texts.waiting_comment(replace(RUN, detail=detail), NOW, None)
    for body in (ended(reason, detail, "https://x/pull/3"), waiting):
        assert body.startswith(texts.COMMENT_MARKER)
        assert body.count(texts.COMMENT_MARKER) == 1
        assert RUN.id in body
        assert not MENTION.search(body)
        assert len(body) < 65_536


@pytest.mark.parametrize("reason", Reason)
def test_every_outcome_is_told_with_what_to_do(reason: Reason) -> None:
    body = ended(reason, pull_request="https://x/pull/3")
    assert str(reason).replace("_", " ") in body
    well = reason in {Reason.PULL_REQUEST_OPENED, Reason.PULL_REQUEST_UPDATED}
    assert ("https://x/pull/3" in body) == well
    assert ("Put the label `do it, please` back" in body) == (not well)


@pytest.mark.parametrize("failure", FailureKind)
def test_a_wait_for_the_model_is_told_with_its_end(failure: FailureKind) -> None:
    if remedy(Reason.AGENT_FAILED, failure) is Remedy.WAIT:
        assert "model" in texts.model_wait(failure, NOW)
        assert "until 2026-01-31 12:00:00 UTC" in texts.waiting_comment(RUN, NOW, failure)


def test_exhausted_attempts_tell_the_last_reason() -> None:
    assert "attempts exhausted (timed out)" in ended(Reason.ATTEMPTS_EXHAUSTED)


@given(st.text())
def test_a_title_is_one_line_that_github_takes(title: str) -> None:
    made = texts.pull_request_title(title)
    assert 0 < len(made) <= 256
    assert len(made.splitlines()) == 1


@given(st.text())
def test_a_commit_has_a_subject_and_names_its_run(title: str) -> None:
    subject, empty, *rest = texts.commit_message(title, RUN).split("\n")
    assert 0 < len(subject) <= 72
    assert empty == ""
    assert rest == [f"Issue: {REF}", f"Claude-Flow-Run: {RUN.id}", ""]


def told(issue: Issue, *comments: Comment) -> dict[str, Any]:
    return variables(RUN, issue, comments, carries_on=False)


@given(st.text(), st.text())
def test_the_prompt_holds_the_issue_as_it_is(title: str, body: str) -> None:
    prompt = texts.prompt(told(issue(title, body)))
    assert f"# {title}\n\n{body}\n" in prompt
    assert str(REF) in prompt
    assert "This is attempt" not in prompt


def test_templates_in_an_issue_are_words() -> None:
    assert "{{ 7 * 7 }}" in texts.prompt(told(issue("{{ 7 * 7 }}", "{% raw %}")))


def test_a_second_attempt_knows_how_the_first_ended() -> None:
    second = replace(RUN, attempts=(*RUN.attempts, Attempt(2)), detail="it was too slow")
    prompt = texts.prompt(variables(second, issue(), [], carries_on=False))
    assert "This is attempt 2; the one before ended without success: it was too slow." in prompt


def test_the_prompt_tells_what_the_repositorys_people_said() -> None:
    prompt = texts.prompt(told(issue(), Comment(1, "maria", "Only in Spanish.", "")))
    assert "maria wrote:\n\nOnly in Spanish.\n" in prompt
    assert "wrote:" not in texts.prompt(told(issue()))
