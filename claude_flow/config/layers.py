"""One layer of a configuration, and how layers are laid over one another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from claude_flow.config.errors import Origin


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: a document that sets some keys.

    ``text`` is the file it was read from, for positions. ``sources`` says for each key that
    the layer sets as a whole where it came from, if not all from ``source``.
    """

    name: str
    document: dict[str, Any]
    source: str | None = None
    text: str | None = None
    is_open_to_others: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)

    def origin(self, key: str) -> Origin:
        """Where the layer has a key from; without line and column."""
        while key not in self.sources and "." in key:
            key = key.rpartition(".")[0]
        return Origin(self.name, self.sources.get(key, self.source))


def nest(key: str, value: Any) -> dict[str, Any]:
    """The document that sets one dotted key."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Put ``other`` over ``into``: objects key by key, all else replaces."""
    for key, value in other.items():
        known = into.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            merge(known, value)
        else:
            into[key] = value


def show(value: object) -> str:
    """A value as JSON on one line, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


_SHOWN = 80


def printable(name: str) -> str:
    """A name that a stranger chose, fit for one line of a terminal."""
    return name if name.isprintable() and len(name) <= _SHOWN else show(name)
