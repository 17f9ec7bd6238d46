"""Who may ask over HTTP, and what an answer never shows."""

from __future__ import annotations

import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from claude_flow.daemon.http_guard import ApiToken
from claude_flow.testing.service_view import FakeServiceView

Ask = Callable[..., Awaitable[Any]]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8:1", "localhost:8787", "LOCALHOST", "[::1]:8787", "[::1]"]
)
async def test_loopback_hosts(ask: Ask, host: str) -> None:
    assert (await ask("/health", headers={"Host": host})).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1:8787", "", "["],
)
async def test_foreign_hosts(ask: Ask, host: str) -> None:
    answer = await ask("/api/v1/state", headers={"Host": host})
    assert (answer.status, answer.error_code) == (403, "foreign_host")


@pytest.mark.parametrize("path", ["/", "/health", "/nothing", "/page/style.css"])
async def test_headers_that_keep_browsers_in_check(ask: Ask, path: str) -> None:
    headers = (await ask(path, headers={"Origin": "https://evil.example"})).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


async def test_large_bodies(view: FakeServiceView, ask: Ask, bearer: dict[str, str]) -> None:
    answer = await ask("/api/v1/refresh", "POST", headers=bearer, body=b"x" * 20_000)
    assert (answer.status, answer.error_code) == (413, "body_too_large")
    assert view.refreshes == 0


async def test_a_fault_of_ours_keeps_its_details(
    view: FakeServiceView, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    view.fault = RuntimeError("an inner detail")
    answer = await ask("/metrics")
    assert (answer.status, answer.error_code) == (500, "internal_error")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "an inner detail" not in answer.body.decode()
    assert "an inner detail" in caplog.text


def test_the_token_does_not_show() -> None:
    assert "s3cret" not in f"{ApiToken('s3cret')!r} {ApiToken('s3cret')}"


def test_an_empty_token_would_let_everybody_in() -> None:
    with pytest.raises(ValueError, match="token"):
        ApiToken("")


def test_the_token_file_is_for_its_owner_only(tmp_path: Path) -> None:
    (tmp_path / "api-token").write_text("old")
    (tmp_path / "api-token").chmod(0o644)
    path = ApiToken("s3cret").write(tmp_path)
    assert path == tmp_path / "api-token"
    assert path.read_text() == "s3cret\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["api-token"]
