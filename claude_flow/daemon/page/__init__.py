"""The page for people: written here on the host, readable without JavaScript.

Much of its text comes from strangers (agents' words, branch and repository names), so the
template escapes everything and only http(s) addresses become links.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from urllib.parse import quote, urlsplit

from jinja2 import Environment, StrictUndefined

from claude_flow.daemon.health import Check, Health
from claude_flow.daemon.snapshot import Snapshot
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Run, to_rfc3339

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_NOT_KNOWN = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that the page refers to."""

    content: bytes
    media_type: str


def render_page(
    health: Health, snapshot: Snapshot | None, recent: Sequence[Run], *, fault: str | None = None
) -> str:
    """The whole page; without a snapshot, ``fault`` says why there is none."""
    return _TEMPLATE.render(health=health, snapshot=snapshot, recent=recent, fault=fault)


def duration(seconds: float | None) -> str:
    """``45 s``, ``3 min 12 s``, ``2 h 5 min``, ``3 d 4 h``; a dash for None."""
    if seconds is None:
        return _NOT_KNOWN
    whole = max(int(seconds), 0)
    for unit, name, below, below_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // below} {below_name}"
    return f"{whole} s"


def run_seconds(run: Run) -> float | None:
    """From a run's start to its end; None if it has not both."""
    if run.started_at is None or run.ended_at is None:
        return None
    return (run.ended_at - run.started_at).total_seconds()


def web_link(address: str | None) -> str | None:
    """The address if a browser may be sent there, else None."""
    if address is None:
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme in {"http", "https"} and parts.netloc else None


def issue_link(issue: IssueRef, web_url: str) -> str | None:
    """Where people read the issue."""
    path = quote(f"{issue.repository}/issues/{issue.number}")
    return web_link(f"{web_url.rstrip('/')}/{path}")


def _words(code: str | None) -> str:
    return (code or "").replace("_", " ")


def _number(value: float | None) -> str:
    return _NOT_KNOWN if value is None else f"{value:,}"


def _dollars(value: float | None) -> str:
    return _NOT_KNOWN if value is None else f"${value:,.2f}"


def _moment(moment: datetime | None) -> str:
    return _NOT_KNOWN if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _observed(check: Check) -> str:
    value = check.observed_value
    if value is None:
        return _NOT_KNOWN
    if check.observed_unit == "B" and isinstance(value, int | float):
        return f"{value / 2**30:,.1f} GiB"
    return f"{value} {check.observed_unit or ''}".rstrip()


def _file(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        dollars=_dollars,
        duration=duration,
        issue_link=issue_link,
        moment=_moment,
        number=_number,
        observed=_observed,
        rfc3339=to_rfc3339,
        run_seconds=run_seconds,
        web_link=web_link,
        words=_words,
    )
    environment.globals["unknown"] = _NOT_KNOWN
    return environment


_TEMPLATE = _environment().from_string(_file("index.html"))

ASSETS: Mapping[str, Asset] = {
    "style.css": Asset(_file("style.css").encode(), "text/css"),
    "refresh.js": Asset(_file("refresh.js").encode(), "text/javascript"),
    "icon.svg": Asset(_file("icon.svg").encode(), "image/svg+xml"),
}
