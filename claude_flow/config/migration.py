"""Older configuration files to today's names."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from claude_flow.config.layers import merge, nest
from claude_flow.config.schema import Schema


@dataclass(frozen=True, slots=True)
class Migration:
    """A document with today's names, and what was changed, one line each."""

    document: dict[str, Any]
    changes: tuple[str, ...]


def migrate(schema: Schema, document: Mapping[str, Any]) -> Migration:
    """Turn the older names in a document into today's.

    A key that today's name already sets keeps that value. What has no older name is left as
    it is, also what is invalid.
    """
    new = deepcopy(dict(document))
    changes: list[str] = []
    _join_repository(new, changes)
    for old, successor in schema.renamed.items():
        value = _take(new, old)
        if value is _ABSENT:
            continue
        if successor is None:
            changes.append(f"{old} was dropped: the playbook installs the agents")
        elif _find(new, successor) is not _ABSENT:
            changes.append(f"{old} was dropped: {successor} is set")
        else:
            merge(new, nest(successor, _converted(old, value, changes)))
            changes.append(f"{old} became {successor}")
    return Migration(new, tuple(changes))


_ABSENT: Any = object()


def _join_repository(document: dict[str, Any], changes: list[str]) -> None:
    owner, name = _find(document, "github.owner"), _find(document, "github.repo")
    if not isinstance(owner, str) or not isinstance(name, str):
        return
    if _find(document, "github.repositories") is not _ABSENT:
        return
    _take(document, "github.owner")
    _take(document, "github.repo")
    merge(document, nest("github.repositories", [f"{owner}/{name}"]))
    changes.append("github.owner and github.repo became github.repositories")


def _converted(old: str, value: Any, changes: list[str]) -> Any:
    if old == "github.labels" and isinstance(value, list) and value:
        if len(value) > 1:
            changes.append(f"only the first of github.labels is kept, of {len(value)}")
        return value[0]
    if old == "systemd.service_name" and isinstance(value, str):
        return value if value.endswith(".service") else f"{value}.service"
    if old in {"github.owner", "github.repo"}:
        changes.append(f"{old} stood alone: complete github.repositories as owner/name")
        return [value]
    return value


def _find(document: Mapping[str, Any], key: str) -> Any:
    value: Any = document
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return _ABSENT
        value = value[part]
    return value


def _take(document: dict[str, Any], key: str) -> Any:
    section, _, name = key.rpartition(".")
    inner = _find(document, section)
    return inner.pop(name, _ABSENT) if isinstance(inner, dict) else _ABSENT
