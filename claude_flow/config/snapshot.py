"""One valid configuration, which never changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from claude_flow.config.errors import Origin, Problem
from claude_flow.config.layers import Layer
from claude_flow.config.schema import Schema, Setting
from claude_flow.config.secret import (
    FileFaultError,
    MissingFileError,
    Secret,
)
from claude_flow.config.validation import flatten
from claude_flow.journal import MASK, Redactor

DEFAULT = Origin("default")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a setting's value came from; ``value`` is masked if it is secret.

    ``overridden`` are the weaker places that set it too, the strongest first.
    """

    key: str
    value: Any
    origin: Origin
    overridden: tuple[Origin, ...]
    setting: Setting

    @property
    def layer(self) -> str:
        """The layer's name."""
        return self.origin.layer

    @property
    def source(self) -> str | None:
        """The file's path or the variable's name."""
        return self.origin.source

    @property
    def line(self) -> int | None:
        """The line in the file, from 1."""
        return self.origin.line

    @property
    def column(self) -> int | None:
        """The column in the line, from 1."""
        return self.origin.column

    def __str__(self) -> str:
        place = self.layer if self.source is None else f"{self.layer} {self.origin}"
        return f"{self.key} = {self.value!r} ({place})"

    def to_json(self) -> dict[str, Any]:
        """The explanation as JSON."""
        return {
            "key": self.key,
            "value": self.value,
            **self.origin.to_json(),
            "overridden": [origin.to_json() for origin in self.overridden],
            "variable": self.setting.variable,
            "expected": self.setting.expected,
            "default": self.setting.default,
            "description": self.setting.spec["description"],
            "reload": self.setting.spec["x-reload"],
        }


@dataclass(frozen=True, slots=True)
class Secrets:
    """What was read from secret files.

    ``contents`` by the keys of the settings that name the files; ``sources`` the files' paths
    by the keys of the settings that took their value from one.
    """

    contents: Mapping[str, str]
    sources: Mapping[str, str]


class Snapshot:
    """The values of all settings at one moment; what it gives cannot change it."""

    def __init__(
        self,
        schema: Schema,
        values: Mapping[str, Any],
        layers: Sequence[Layer],
        secrets: Secrets,
        warnings: Sequence[str],
    ) -> None:
        self.schema = schema
        self.values = values
        """By key, secrets in clear; not to be changed."""
        self.warnings = tuple(warnings)
        self._layers = tuple(layers)
        self._secrets = secrets

    @cached_property
    def scalars(self) -> dict[str, Any]:
        """The values that nobody can change, by key."""
        return {key: value for key, value in self.values.items() if not isinstance(value, list)}

    @property
    def file_text(self) -> str | None:
        """The configuration file as it was read, None if there was none."""
        return next((x.text for x in self._layers if x.name == "file" and x.text is not None), None)

    def get(self, key: str) -> Any:
        """The value of a setting, or a section as a dict with ``Secret`` values.

        Raises KeyError for an unknown key.
        """
        try:
            value = self.values[key]
        except KeyError:
            return self._section(key)
        return value.copy() if type(value) is list else value

    def _section(self, key: str) -> dict[str, Any]:
        if key not in self.schema.sections:
            raise KeyError(key)
        return self._nested(key + ".", Secret)

    def secret(self, key: str) -> Secret | None:
        """A secret setting, or the content of the file that a secret-file setting names.

        Files are read when the configuration is loaded. None where it is not set, or its file
        was not to be read. Raises KeyError for a key that is unknown or not secret.
        """
        setting = self.schema.settings[key]
        value = self.values[key]
        if not (setting.is_secret or setting.is_secret_file):
            raise KeyError(f"{key} is not secret")
        text = value if setting.is_secret else self._secrets.contents.get(key)
        return None if text is None else Secret(text)

    def secrets(self) -> list[str]:
        """Every secret text in it, those from files included, for a redactor."""
        settings = self.schema.settings
        values = (v for k, v in self.values.items() if v is not None and settings[k].is_secret)
        return [*values, *self._secrets.contents.values()]

    def as_dict(self) -> dict[str, Any]:
        """All of it as nested JSON values, secrets masked."""
        return self._nested("", lambda _: MASK)

    def _nested(self, prefix: str, hide: Callable[[str], Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in self.values.items():
            if not key.startswith(prefix):
                continue
            *sections, name = key.removeprefix(prefix).split(".")
            inner = result
            for section in sections:
                inner = inner.setdefault(section, {})
            if value is not None and self.schema.settings[key].is_secret:
                inner[name] = hide(value)
            else:
                inner[name] = value.copy() if isinstance(value, list) else value
        return result

    def origin(self, key: str) -> Origin:
        """Where a setting's value came from. Raises KeyError for an unknown key."""
        return self._origins(key)[0]

    def _origins(self, key: str) -> list[Origin]:
        origins = [
            located(layer, self.schema.settings[key].path)
            for layer in reversed(self._layers)
            if key in dict(flatten(self.schema, layer.document))
        ]
        if key in self._secrets.sources:
            origins.insert(0, Origin("secret file", self._secrets.sources[key]))
        return [*origins, DEFAULT]

    def explain(self, key: str) -> Explanation:
        """Where a setting's value came from. Raises KeyError for an unknown key."""
        setting = self.schema.settings[key]
        first, *others = self._origins(key)
        value = self.get(key)
        shown = MASK if setting.is_secret and value is not None else value
        return Explanation(key, shown, first, tuple(others), setting)

    def changes(self, other: Snapshot) -> tuple[str, ...]:
        """The keys whose values, or the secrets in the files they name, differ in ``other``."""
        mine, others = self._secrets.contents, other._secrets.contents
        return tuple(
            sorted(
                key
                for key, value in self.values.items()
                if other.values[key] != value or others.get(key) != mine.get(key)
            )
        )

    @cached_property
    def redactor(self) -> Redactor:
        """Masks what this configuration holds secret."""
        return Redactor(self.secrets())


def located(layer: Layer, path: tuple[str, ...]) -> Origin:
    """Where a layer has the value at a path from, with line and column if it is a file."""
    origin = layer.origin(".".join(path))
    if layer.text is None:
        return origin
    from claude_flow.config.positions import locate  # noqa: PLC0415 - only explanations need it

    position = locate(layer.text).values.get(path)
    if position is None:
        return origin
    return Origin(origin.layer, origin.source, position.line, position.column)


def file_problem(key: str, path: str, fault: FileFaultError, origin: Origin) -> Problem:
    """What is wrong with the file that a setting names."""
    action = "; create it or name another" if isinstance(fault, MissingFileError) else ""
    return Problem(f"the file {path} {fault}{action}", key=key, origin=origin, value=path)
