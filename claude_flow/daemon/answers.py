"""The bodies of HTTP answers, through the same redaction as the log."""

from __future__ import annotations

from typing import Any

from starlette.responses import HTMLResponse, JSONResponse

from claude_flow.journal import redactor


class RedactedJSON(JSONResponse):
    """JSON in which every known secret, and what is shaped like a token, is masked."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return redactor.redact(bytes(super().render(content)).decode()).encode()


class RedactedHTML(HTMLResponse):
    """A page, masked likewise."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return redactor.redact(bytes(super().render(content)).decode()).encode()
