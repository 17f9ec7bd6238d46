"""The layer of the CLAUDE_FLOW_ variables, whose names the schema gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from claude_flow.config.coercion import CoercionError, coerce, parse_json
from claude_flow.config.errors import Origin, Problem
from claude_flow.config.layers import Layer, merge, nest, printable, show
from claude_flow.config.nearest import slip_of
from claude_flow.config.schema import PREFIX, Schema

PATH_VARIABLE = "CLAUDE_FLOW_CONFIG"
# Variables with our prefix that are no settings: this one and those the agents are given.
_RESERVED = frozenset(
    {PATH_VARIABLE, "CLAUDE_FLOW_RUN_ID", "CLAUDE_FLOW_ISSUE", "CLAUDE_FLOW_WORKSPACE"}
)


def read_environment(
    schema: Schema, environ: Mapping[str, str], warnings: list[str]
) -> Iterator[Layer | Problem]:
    """The layer of all CLAUDE_FLOW_ variables, and what is wrong with any of them.

    Names that resemble no setting are other programs'; they only add to ``warnings``.
    """
    document: dict[str, Any] = {}
    sources: dict[str, str] = {}
    names = [name for name in environ if name.startswith(PREFIX) and name not in _RESERVED]
    # A section's variable first, so that one for a single key in it wins.
    for name in sorted(
        names, key=lambda name: (schema.variables.get(name) not in schema.sections, name)
    ):
        key = schema.variables.get(name)
        if key is None:
            meant = _meant(schema, name)
            if meant is None:
                warnings.append(f"{printable(name)} is not a setting; ignored")
            else:
                yield Problem(
                    "is not a setting",
                    origin=Origin("environment", printable(name)),
                    suggestion=meant,
                )
            continue
        try:
            value = _from_variable(schema, key, environ[name])
        except CoercionError as fault:
            yield _uncoercible(schema, key, name, environ[name], str(fault))
            continue
        sources[key] = name
        merge(document, nest(key, value))
    yield Layer("environment", document, sources=sources)


def _from_variable(schema: Schema, key: str, text: str) -> Any:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CoercionError("is not UTF-8") from None
    setting = schema.settings.get(key)
    return parse_json(text) if setting is None else coerce(text, setting)


def _uncoercible(schema: Schema, key: str, name: str, text: str, message: str) -> Problem:
    setting = schema.settings.get(key)
    shown = setting is not None and not setting.is_secret
    return Problem(
        f"{show(text)} {message}" if shown else message,
        key=key,
        origin=Origin("environment", name),
        value=show(text) if shown else None,
        expected=setting.expected if setting else "a JSON object",
    )


def _meant(schema: Schema, name: str) -> str | None:
    """The variable that a mistyped name, or one without its section, was meant to be."""
    bare = name.removeprefix(PREFIX)
    for key, setting in schema.settings.items():
        parts = key.split(".")
        if any(bare == "_".join(parts[at:]).upper() for at in range(1, len(parts))):
            return setting.variable
    near = slip_of(bare, (known.removeprefix(PREFIX) for known in schema.variables))
    return None if near is None else PREFIX + near
