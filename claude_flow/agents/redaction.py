"""Keeps an agent's keys out of what people and pull requests get to read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_MASK = "***"
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)
_SECRET_SHAPE = re.compile(
    r"sk-ant-[A-Za-z0-9_-]{8,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}"
)
# Shorter values would mask ordinary words.
_SHORTEST = 8

Redact = Callable[[str], str]


def redactor(environment: Mapping[str, str]) -> Redact:
    """Masks the values of variables that are named like secrets, and what looks like a key."""
    values = sorted(
        (
            value
            for name, value in environment.items()
            if _SECRET_NAME.search(name) and len(value) >= _SHORTEST
        ),
        key=len,
        reverse=True,
    )

    def redact(text: str) -> str:
        for value in values:
            text = text.replace(value, _MASK)
        return _SECRET_SHAPE.sub(_MASK, text)

    return redact
