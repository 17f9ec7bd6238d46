"""Judges layers against the schema: every fault, each with its place and without secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema_rs

from claude_flow.config.errors import Origin, Problem
from claude_flow.config.layers import Layer, printable, show
from claude_flow.config.nearest import slip_of
from claude_flow.config.schema import Schema, Setting

Path = tuple[str, ...]
Locate = Callable[[Layer, Path], Origin]
"""Gives where a layer has the value at a path from, with line and column."""


def layer_problems(schema: Schema, layer: Layer, locate: Locate) -> Iterator[Problem]:
    """Every fault of one layer."""
    if not schema.layer_validator.is_valid(layer.document):
        told: set[Path] = set()
        for error in schema.layer_validator.iter_errors(layer.document):
            path = tuple(map(str, error.instance_path))
            kind = error.kind
            if isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
                for name in kind.unexpected:
                    yield _unknown(schema, layer, (*path, name), locate)
            elif path not in told:
                told.add(path)
                yield _invalid(schema, layer, path, error.instance, locate)
    if layer.is_open_to_others:
        yield from _exposed(schema, layer, locate)


def _unknown(schema: Schema, layer: Layer, path: Path, locate: Locate) -> Problem:
    key = ".".join(path)
    message, suggestion = "is not a setting", None
    if key in schema.renamed:
        message = "is an older name; claude-flowctl config migrate mends the file"
        suggestion = schema.renamed[key]
    elif schema.knows(key):
        message = 'has dots in its name; write objects, as in {"github": {"trigger_label": "x"}}'
    else:
        suggestion = nearest_key(schema, key)
    return Problem(message, key=printable(key), origin=locate(layer, path), suggestion=suggestion)


def nearest_key(schema: Schema, key: str) -> str | None:
    """The setting or section that a mistyped key, or one in a wrong section, was meant to be."""
    near = slip_of(key, [*schema.settings, *schema.sections])
    if near is not None:
        return near
    by_name = {known.rpartition(".")[2]: known for known in schema.settings}
    near = slip_of(key.rpartition(".")[2], by_name)
    return None if near is None else by_name[near]


def _invalid(schema: Schema, layer: Layer, path: Path, value: object, locate: Locate) -> Problem:
    setting = schema.setting_at(path)
    if setting is None:
        return Problem(
            "is a section, not a value",
            key=".".join(path),
            origin=locate(layer, path),
            expected="an object",
        )
    shown = None if setting.is_secret else show(value)
    return Problem(
        "is not valid" if shown is None else f"{shown} is not valid",
        key=_with_index(setting, path),
        origin=locate(layer, path),
        value=shown,
        expected=setting.expected,
    )


def _with_index(setting: Setting, path: Path) -> str:
    inside = path[len(setting.path) :]
    return setting.key + "".join(f"[{part}]" for part in inside)


def _exposed(schema: Schema, layer: Layer, locate: Locate) -> Iterator[Problem]:
    values = dict(flatten(schema, layer.document))
    for key, setting in schema.settings.items():
        if setting.is_secret and values.get(key) is not None:
            yield Problem(
                f"is secret, but others may read {layer.source}; chmod o= it",
                key=key,
                origin=locate(layer, setting.path),
            )


def flatten(
    schema: Schema, document: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """The settings in a document, by key; what is no setting is left out."""
    for name, value in document.items():
        key = prefix + name
        if key in schema.settings:
            yield key, value
        elif isinstance(value, dict) and key in schema.sections:
            yield from flatten(schema, value, key + ".")


def rule_problems(
    schema: Schema, document: Mapping[str, Any], origin_of: Callable[[str], Origin]
) -> Iterator[Problem]:
    """Every rule over several settings that a complete configuration breaks."""
    if schema.rules_validator.is_valid(document):
        return
    broken = {error.schema_path[1] for error in schema.rules_validator.iter_errors(document)}
    for index, rule in enumerate(schema.rules):
        if index in broken:
            key = rule["x-keys"][0]
            yield Problem(rule["x-message"], key=key, origin=origin_of(key))
