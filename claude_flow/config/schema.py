"""The schema of the configuration: the only source of names, types, defaults and secrecy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs

PREFIX = "CLAUDE_FLOW_"


class Cure(StrEnum):
    """What has to be done for a change of a setting to take effect."""

    RELOAD = "reload"
    RESTART = "restart"
    PLAYBOOK = "playbook"

    @property
    def told(self) -> str:
        """For people."""
        if self is Cure.RELOAD:
            return "applies on reload"
        return "needs a restart" if self is Cure.RESTART else "needs the playbook"


_CURES = {"live": Cure.RELOAD, "restart": Cure.RESTART, "playbook": Cure.PLAYBOOK}


@dataclass(frozen=True, eq=False)
class Setting:
    """One setting: ``key`` is its dotted name, ``spec`` its part of the schema."""

    key: str
    spec: Mapping[str, Any]

    @cached_property
    def path(self) -> tuple[str, ...]:
        """The key's parts."""
        return tuple(self.key.split("."))

    @cached_property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return variable_of(self.key)

    @cached_property
    def types(self) -> frozenset[str]:
        """The JSON types it may have."""
        named = self.spec["type"]
        return frozenset([named] if isinstance(named, str) else named)

    @property
    def default(self) -> Any:
        """Its value where no layer sets it."""
        return self.spec["default"]

    @property
    def is_secret(self) -> bool:
        """Whether the value itself is secret."""
        return bool(self.spec.get("x-secret", False))

    @property
    def is_secret_file(self) -> bool:
        """Whether the value is the path of a file that holds a secret."""
        return bool(self.spec.get("x-secret-file", False))

    @property
    def file_holds(self) -> str | None:
        """What kind of secret its file must hold, None for any."""
        return self.spec.get("x-file-holds")

    @property
    def cure(self) -> Cure:
        """What a change of it needs to take effect."""
        return _CURES[self.spec["x-reload"]]

    @property
    def credential(self) -> str | None:
        """The systemd credential that can give the value."""
        return self.spec.get("x-credential")

    @property
    def from_file(self) -> str | None:
        """The setting that names a file which can give the value."""
        return self.spec.get("x-from-file")

    @property
    def unit(self) -> str | None:
        """The unit of a number."""
        return self.spec.get("x-unit")

    @cached_property
    def expected(self) -> str:
        """What a valid value is, in words."""
        return describe(self.spec)


def variable_of(key: str) -> str:
    """The environment variable of a setting or a section."""
    return PREFIX + key.replace(".", "_").upper()


class Schema:
    """The settings that one schema document describes."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.settings = {s.key: s for s in _settings(document["properties"], "")}
        self.sections = frozenset(
            key[:at] for key in self.settings for at, c in enumerate(key) if c == "."
        )
        """Keys of objects that hold settings, such as ``github.trust``."""
        self.variables = {variable_of(key): key for key in (*self.sections, *self.settings)}

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The default of every setting, by key."""
        return {key: setting.default for key, setting in self.settings.items()}

    @cached_property
    def rules(self) -> list[Mapping[str, Any]]:
        """What the schema demands of several settings together."""
        return list(self.document.get("allOf", ()))

    @cached_property
    def renamed(self) -> Mapping[str, str | None]:
        """Older names with their successors, None where there is none."""
        renamed: Mapping[str, str | None] = self.document.get("x-renamed", {})
        return renamed

    @cached_property
    def layer_validator(self) -> jsonschema_rs.Draft202012Validator:
        """Checks one layer, which need not be complete."""
        return jsonschema_rs.Draft202012Validator(
            {name: part for name, part in self.document.items() if name != "allOf"}
        )

    @cached_property
    def rules_validator(self) -> jsonschema_rs.Draft202012Validator:
        """Checks a complete configuration against the rules."""
        return jsonschema_rs.Draft202012Validator(
            {"$schema": self.document["$schema"], "allOf": self.rules}
        )

    def knows(self, key: str) -> bool:
        """Whether the key is a setting's or a section's."""
        return key in self.settings or key in self.sections

    def setting_at(self, path: tuple[str, ...]) -> Setting | None:
        """The setting that a path leads to or into, None for a section's."""
        key = ""
        for part in path:
            key = f"{key}.{part}" if key else part
            if key in self.settings:
                return self.settings[key]
        return None


def _settings(properties: Mapping[str, Any], prefix: str) -> Iterator[Setting]:
    for name, spec in properties.items():
        if name == "$schema":
            continue
        if "properties" in spec:
            yield from _settings(spec["properties"], f"{prefix}{name}.")
        else:
            yield Setting(prefix + name, spec)


def describe(spec: Mapping[str, Any]) -> str:
    """What the schema allows here, in words: ``an integer from 1 to 100 (attempts)``."""
    named = spec.get("type", ())
    types = [named] if isinstance(named, str) else list(named)
    if "enum" in spec:
        text = "one of " + ", ".join(json.dumps(value) for value in spec["enum"])
    else:
        text = " or ".join(_NOUNS[kind] for kind in types if kind != "null") + _bounds(spec)
    if "items" in spec:
        text += f", each {describe(spec['items'])}"
    if spec.get("uniqueItems"):
        text += ", none twice"
    if "x-unit" in spec:
        text += f" ({spec['x-unit']})"
    if "null" in types:
        text += " or null"
    if spec.get("examples") and "pattern" in spec:
        text += f", such as {json.dumps(spec['examples'][0])}"
    return text


_NOUNS = {
    "string": "a text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}


def _bounds(spec: Mapping[str, Any]) -> str:
    text = ""
    if "exclusiveMinimum" in spec:
        text += f" above {spec['exclusiveMinimum']}"
    if "minimum" in spec:
        text += f" from {spec['minimum']}"
    if "maximum" in spec:
        text += f" to {spec['maximum']}"
    if "maxLength" in spec:
        text += f" of at most {spec['maxLength']} characters"
    if spec.get("minItems"):
        text += f" of at least {spec['minItems']}"
    if "pattern" in spec and "examples" not in spec:
        text += f" that matches {spec['pattern']}"
    return text


def schema_path(name: str) -> Path:
    """The file of a schema, in the installed package or in the checkout.

    Raises FileNotFoundError if this installation lacks it.
    """
    package = Path(str(files("claude_flow")))
    for directory in (package / "schemas", package.parent / "schemas"):
        path = directory / name
        if path.is_file():
            return path
    raise FileNotFoundError(f"{name} is neither in {package}/schemas nor in the checkout")


@cache
def config_schema() -> Schema:
    """The schema of the configuration, read once."""
    return Schema(json.loads(schema_path("config.schema.json").read_bytes()))
