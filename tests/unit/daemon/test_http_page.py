from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.daemon.health import HealthFacts, assess
from claude_flow.daemon.page import duration, issue_link, render_page, web_link
from claude_flow.daemon.snapshot import RunningRun, Snapshot
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Run, Trigger, TriggerKind, from_rfc3339
from claude_flow.ports import Progress

NOW = from_rfc3339("2026-01-31T12:00:00Z")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),  # noqa: RUF001 - the dash that the page shows
        (-1, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "javascript:alert(1)",
        "JAVASCRIPT://host/%0aalert(1)",
        "data:text/html,<script>",
        "//evil.example/",
        "/relative",
        "https:",
        "http://[broken",
        " javascript:alert(1)",
    ],
)
def test_what_is_no_web_address_is_no_link(address: str | None) -> None:
    assert web_link(address) is None


def test_issue_links() -> None:
    issue = IssueRef.parse("acme/widgets#7")
    expected = "https://github.example/acme/widgets/issues/7"
    assert issue_link(issue, "https://github.example/") == expected
    assert issue_link(issue, "ssh://git@github.example") is None


class _Elements(HTMLParser):
    """Names and attributes of all elements of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))


def _page(words: str) -> str:
    assert NOW is not None
    trigger = Trigger(TriggerKind.LABEL, "1", words)
    run = Run.queued(IssueRef.parse("acme/widgets#7"), trigger, NOW)
    snapshot = Snapshot(
        at=NOW,
        version="1.2.3",
        web_url="https://github.example",
        repositories=(words,),
        max_concurrent_runs=3,
        uptime_seconds=1,
        running=(RunningRun(run, Progress(last_event=words), 1),),
        queue=(run,),
    )
    health = assess(HealthFacts(NOW, words, 0, 30, database_fault=words))
    return render_page(health, snapshot, [])


@given(
    st.text(min_size=1) | st.sampled_from(['"><script>', "'onload='x", "<!--", "</title>", "&lt"])
)
def test_strangers_words_change_nothing_of_the_pages_shape(words: str) -> None:
    assert _Elements(_page(words)).found == _Elements(_page("words")).found
