"""What is wrong with the names of the role's variables."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

PREFIX = "claude_flow_"
# Below this likeness it is a variable of the operator's own.
_LIKENESS = 0.85


def faults(names: Iterable[str], known: Iterable[str], schema: Mapping[str, Any]) -> list[str]:
    """Variables that were meant to be others, one line each.

    A name that is like no known one is left alone: inventories have variables of their own.
    """
    known = set(known)
    settings = dict(_flat_names(schema))
    found = []
    for name in sorted(set(names) - known):
        if name in settings:
            found.append(f"{name}: no variable of the role; {settings[name]}")
        elif near := _near(name, known):
            found.append(f"{name}: no variable of the role; did you mean {near}?")
    return found


def _near(name: str, known: Iterable[str]) -> str | None:
    if not name.startswith(PREFIX):
        return None
    stems = {other.removeprefix(PREFIX) for other in known}
    near = difflib.get_close_matches(name.removeprefix(PREFIX), stems, n=1, cutoff=_LIKENESS)
    return f"{PREFIX}{near[0]}" if near else None


def _flat_names(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for old, new in schema.get("x-renamed", {}).items():
        today = f"it is {new} in claude_flow_config today" if new else "the role does it by itself"
        yield _flat(old), today
    yield from _flat_settings(schema, "")


def _flat_settings(schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, child in schema.get("properties", {}).items():
        if "properties" in child:
            yield from _flat_settings(child, f"{prefix}{name}.")
        elif prefix:
            yield _flat(f"{prefix}{name}"), f"set {prefix}{name} in claude_flow_config"


def _flat(key: str) -> str:
    return PREFIX + key.replace(".", "_")
