"""The page in a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, ViewportSize, async_playwright, expect

from claude_flow.daemon.health import GitHubStatus, HealthFacts
from claude_flow.daemon.http import create_app
from claude_flow.daemon.http_guard import ApiToken
from claude_flow.daemon.http_server import RunningServer, serve
from claude_flow.daemon.snapshot import Snapshot
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import (
    Attempt,
    Phase,
    Reason,
    Run,
    RunState,
    Trigger,
    TriggerKind,
    Usage,
)
from claude_flow.ports import Progress
from claude_flow.testing.service_view import FakeServiceView

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
PULL_REQUEST = "https://github.example/acme/widgets/pull/32"
LONG_WORD = "a-very-long-word-without-any-breaks/" * 8
PHONE = ViewportSize(width=360, height=740)
DESK = ViewportSize(width=1280, height=800)
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

# Every text with the colour behind it, by the formula of WCAG 2; returns what is hard to read.
FAINT_TEXTS = """() => {
  const part = (value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    throw new Error("nothing is behind it");
  };
  const faint = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest("noscript, script")) continue;
    const [low, high] = [light(numbers(getComputedStyle(element).color)), light(behind(element))]
      .sort((one, other) => one - other);
    if ((high + 0.05) / (low + 0.05) < 4.5) faint.push(texts.currentNode.data.trim());
  }
  return faint;
}"""


@pytest.fixture(scope="module")
def chromium() -> Path:
    """Debian's browser, installed if it is missing and we may."""
    found = shutil.which("chromium")
    if found is None and os.geteuid() == 0:
        subprocess.run(["apt-get", "update"], check=True)
        install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]
        subprocess.run(install, check=True)
        found = shutil.which("chromium")
    if found is None:
        pytest.fail("these tests need a browser: apt-get install chromium")
    return Path(found)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield browser
        await browser.close()


@pytest.fixture
def view() -> FakeServiceView:
    """Runs of every kind, with words of strangers in them."""
    facts = HealthFacts(
        at=NOW,
        version="1.2.3",
        seconds_since_tick=0.2,
        tick_limit_seconds=30,
        github=GitHubStatus.OK,
    )
    snapshot = Snapshot(
        at=NOW,
        version="1.2.3",
        web_url="https://github.example",
        repositories=("acme/widgets",),
        max_concurrent_runs=3,
        uptime_seconds=7500,
    )
    running = replace(begun(7), state=RunState.RUNNING, phase=Phase.EXECUTING)
    view = FakeServiceView(facts, snapshot)
    for made in (
        running,
        run(8),
        replace(
            ended(31),
            state=RunState.SUCCEEDED,
            reason=Reason.PULL_REQUEST_OPENED,
            pull_request=PULL_REQUEST,
        ),
        replace(
            ended(33), state=RunState.FAILED, reason=Reason.STALLED, detail="no word for 300 s"
        ),
    ):
        view.recorded[made.id] = made
    view.agents[running.id] = Progress(Usage(12, 48213, 0.42), "edited src/paint.py")
    return view


@pytest_asyncio.fixture(loop_scope="module")
async def server(view: FakeServiceView) -> AsyncIterator[RunningServer]:
    running = await serve(create_app(view, ApiToken("t")), "127.0.0.1", 0)
    yield running
    await running.stop()


@asynccontextmanager
async def opened(
    browser: Browser,
    server: RunningServer,
    *,
    has_script: bool = True,
    is_phone: bool = False,
    is_dark: bool = False,
) -> AsyncIterator[Page]:
    """The page as one visitor has it; fails if the browser complains about anything."""
    context = await browser.new_context(
        java_script_enabled=has_script,
        viewport=PHONE if is_phone else DESK,
        color_scheme="dark" if is_dark else "light",
    )
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"http://{server.address}/")
    yield page
    assert {url for url in asked if not url.startswith(f"http://{server.address}/")} == set()
    assert complaints == []
    await context.close()


def run(number: int) -> Run:
    trigger = Trigger(TriggerKind.LABEL, str(number), "mona")
    return Run.queued(IssueRef.parse(f"acme/widgets#{number}"), trigger, NOW)


def begun(number: int) -> Run:
    return replace(run(number), attempts=(Attempt(1, NOW),), started_at=NOW)


def ended(number: int) -> Run:
    return replace(begun(number), ended_at=NOW + timedelta(seconds=95))


async def texts(table: Locator) -> list[list[str]]:
    """A table as a screen reader finds it, row by row."""
    rows = await table.get_by_role("row").all()
    return [await row.get_by_role("cell").all_inner_texts() for row in rows[1:]]


@pytest.mark.parametrize("has_script", [True, False])
@pytest.mark.parametrize("is_phone", [True, False])
async def test_everything_is_there_for_everybody(
    browser: Browser,
    server: RunningServer,
    has_script: bool,  # noqa: FBT001 - a case
    is_phone: bool,  # noqa: FBT001 - likewise
) -> None:
    async with opened(browser, server, has_script=has_script, is_phone=is_phone) as page:
        running = await texts(page.get_by_role("table", name="Running"))
        assert running == [
            [
                "acme/widgets#7",
                "executing",
                "1",
                "1 min 12 s",
                "12",
                "48,213",
                "$0.42",
                "edited src/paint.py",
            ]
        ]
        queue = await texts(page.get_by_role("table", name="Queue"))
        assert queue == [["acme/widgets#8", "label, mona", "0", "2026-01-31 12:00 UTC"]]
        recent = page.get_by_role("table", name="Recent")
        await expect(recent.get_by_role("link", name="#32", exact=True)).to_have_attribute(
            "href", PULL_REQUEST
        )
        await expect(recent.get_by_role("link", name="acme/widgets#31")).to_have_attribute(
            "href", "https://github.example/acme/widgets/issues/31"
        )
        await expect(recent).to_contain_text("stalled")
        await expect(recent).to_contain_text("no word for 300 s")
        await expect(page.get_by_role("link", name="Healthy", exact=True)).to_be_visible()


async def test_it_keeps_itself_fresh(
    browser: Browser, server: RunningServer, view: FakeServiceView
) -> None:
    async with opened(browser, server) as page:
        await expect(page).to_have_title("1 running, 1 queued · claude-flow")
        await page.evaluate("window.isSamePage = true")
        link = page.get_by_role("link", name="acme/widgets#8")
        await link.focus()

        view.facts = replace(view.facts, github=GitHubStatus.REFUSED)
        another = run(9)
        view.recorded[another.id] = another

        await expect(page.get_by_role("link", name="acme/widgets#9")).to_be_visible()
        await expect(page).to_have_title("1 running, 2 queued · claude-flow")
        await expect(page.get_by_role("link", name="Not healthy")).to_be_visible()
        await expect(page.get_by_text("GitHub refused the token").first).to_be_visible()
        await expect(link).to_be_focused()
        assert await page.evaluate("window.isSamePage")


async def test_a_service_that_is_gone_is_said(browser: Browser, view: FakeServiceView) -> None:
    server = await serve(create_app(view, ApiToken("t")), "127.0.0.1", 0)
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"http://{server.address}/")
    notice = page.get_by_role("status")
    await expect(notice).to_be_hidden()
    await server.stop()
    await expect(notice).to_contain_text("does not answer")

    port = int(server.address.rpartition(":")[2])
    again = await serve(create_app(view, ApiToken("t")), "127.0.0.1", port)
    await expect(notice).to_be_hidden()
    await context.close()
    await again.stop()


async def test_strangers_words_stay_words(
    browser: Browser, server: RunningServer, view: FakeServiceView
) -> None:
    bait = "<img src=x onerror=\"document.title='caught'\"><script>document.title='caught'</script>"
    for known in list(view.recorded.values()):
        pull_request = "javascript:document.title='caught'" if known.pull_request else None
        view.recorded[known.id] = replace(known, detail=bait, pull_request=pull_request)
        view.agents[known.id] = Progress(last_event=bait)
    async with opened(browser, server) as page:
        for _ in range(2):  # as first served, and as the script put it in
            await expect(page.get_by_text(bait).first).to_be_visible()
            assert await page.locator("img, #content script").count() == 0
            assert await page.locator("a[href^='javascript:']").count() == 0
            async with page.expect_response(f"http://{server.address}/"):
                pass
        await expect(page).to_have_title("1 running, 1 queued · claude-flow")


@pytest.mark.parametrize("is_dark", [True, False])
@pytest.mark.parametrize("is_phone", [True, False])
async def test_it_can_be_read(
    browser: Browser,
    server: RunningServer,
    view: FakeServiceView,
    is_dark: bool,  # noqa: FBT001 - a case
    is_phone: bool,  # noqa: FBT001 - likewise
) -> None:
    view.facts = replace(
        view.facts, github=GitHubStatus.REFUSED, github_fault=LONG_WORD, disk_fault=LONG_WORD
    )
    view.agents = {run_id: Progress(last_event=LONG_WORD) for run_id in view.recorded}
    async with opened(browser, server, is_phone=is_phone, is_dark=is_dark) as page:
        assert await page.evaluate(FAINT_TEXTS) == []
        widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert widths[0] <= widths[1], "it scrolls sideways"
        background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == ("rgb(18, 21, 26)" if is_dark else "rgb(246, 247, 249)")
