"""Who may talk to the daemon's HTTP side: the token, the Host header, sizes and headers.

The side listens on loopback, but any web page that somebody on the host opens can send requests
there. So a foreign Host is refused (DNS rebinding), nothing is shared across origins, and what
changes something needs a token that only this host's files hold.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from claude_flow.daemon.answers import RedactedJSON
from claude_flow.service.places import TOKEN_FILE

MAX_BODY_BYTES = 16 * 1024

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class ApiToken:
    """The bearer token of everything that changes something. Never shown in its repr."""

    def __init__(self, text: str) -> None:
        if not text:
            raise ValueError("an API token needs a text")
        self._text = text

    def __repr__(self) -> str:
        return "ApiToken(***)"

    def write(self, directory: Path) -> Path:
        """Put it into ``directory`` for this host's own clients, readable by the owner only.

        Replaces an earlier one at once, so that no reader sees half of it. Raises OSError.
        """
        path = directory / TOKEN_FILE
        return replace_file(path, self._text + "\n", mode=0o600)

    def allows(self, authorization: str | None) -> bool:
        """Whether an ``Authorization`` header carries it; takes the same time for every guess."""
        scheme, _, given = (authorization or "").partition(" ")
        is_same = hmac.compare_digest(given.strip().encode(), self._text.encode())
        return scheme.lower() == "bearer" and is_same


def replace_file(path: Path, text: str, *, mode: int) -> Path:
    """Replace ``path`` by a file with ``text`` and ``mode``, never seen with another or by half.

    Raises OSError.
    """
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(descriptor, mode)  # whatever the umask says
    return fresh.replace(path)


def error_response(
    status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> RedactedJSON:
    """An error in the contract's shape."""
    content = {"error": {"code": code, "message": message}}
    return RedactedJSON(content, status_code=status, headers=headers)


def is_loopback_host(host: str) -> bool:
    """Whether a ``Host`` header names this very machine (a port may follow)."""
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") <= 1:
        name = name.partition(":")[0]
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware: refuses foreign hosts and large bodies, adds the security headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = _refusal(Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send_guarded)


def _refusal(headers: Headers) -> RedactedJSON | None:
    host = headers.get("host", "")
    if not is_loopback_host(host):
        return error_response(
            403, "foreign_host", "ask under a loopback address, such as 127.0.0.1 or localhost"
        )
    if "transfer-encoding" in headers:
        return error_response(411, "length_required", "say the body's Content-Length")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        return error_response(
            413, "body_too_large", f"a body may have at most {MAX_BODY_BYTES} bytes"
        )
    return None
