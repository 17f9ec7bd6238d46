"""The reference page names what there is, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from starlette.routing import Route

from claude_flow.daemon.http import create_app
from claude_flow.daemon.http_guard import ApiToken
from claude_flow.daemon.metrics import Metrics
from claude_flow.ports import RateLimit
from claude_flow.testing.service_view import FakeServiceView

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "http.md"


def test_paths(view: FakeServiceView) -> None:
    routes = [route for route in create_app(view, ApiToken("t")).routes if type(route) is Route]
    served = {
        f"{method} {route.path.replace('{run_id}', '<id>')}"
        for route in routes
        for method in (route.methods or set()) - {"HEAD"}
    }
    named = set(re.findall(r"^\| `([A-Z]+ /\S*)`", PAGE.read_text(), re.MULTILINE))
    assert served - named == {"GET /page/{name}"}, "the page's own files"
    assert named <= served


def test_metrics(view: FakeServiceView) -> None:
    snapshot = replace(view.snapshot, rate_limit=RateLimit(5000, 1, view.snapshot.at))
    text = Metrics("1.2.3").render(snapshot).decode()
    families = {family.name for family in text_string_to_metric_families(text)}
    written = set(re.findall(r"`(claude_flow_\w+)", PAGE.read_text()))
    assert {name.removesuffix("_total") for name in written} == {
        name.removesuffix("_total") for name in families
    }


def test_codes() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (.*?) \|", PAGE.read_text(), re.MULTILINE)
    written = {code for _, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    daemon = Path(__file__).parents[3] / "claude_flow" / "daemon"
    source = (daemon / "http.py").read_text() + (daemon / "http_guard.py").read_text()
    assert {code for code in written if f'"{code}"' not in source} == set()
    answered = set(re.findall(r'\d{3}(?:: |,\s*)"(\w+)",', source))
    assert answered == written
