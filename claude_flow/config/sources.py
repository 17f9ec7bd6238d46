"""The layers that a configuration is made of, each read and parsed, none yet judged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claude_flow.config.coercion import CoercionError, coerce, parse_json
from claude_flow.config.errors import Origin, Problem
from claude_flow.config.nearest import slip_of
from claude_flow.config.parsing import (
    DuplicateKeyError,
    JsonFaultError,
    caret,
    line_and_column,
    parse,
)
from claude_flow.config.schema import PREFIX, Schema
from claude_flow.config.secret import FileFaultError, MissingFileError, read_secret_file, read_text

DEFAULT_PATH = Path("/etc/claude-flow/config.json")
PATH_VARIABLE = "CLAUDE_FLOW_CONFIG"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
# Variables with our prefix that are no settings: this one and those the agents are given.
_RESERVED = frozenset(
    {PATH_VARIABLE, "CLAUDE_FLOW_RUN_ID", "CLAUDE_FLOW_ISSUE", "CLAUDE_FLOW_WORKSPACE"}
)


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


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to read a configuration, again at every reload.

    ``path`` None means the file that CLAUDE_FLOW_CONFIG names, else the default one, which
    alone may be missing.
    """

    schema: Schema
    path: Path | None
    environ: Mapping[str, str]
    overrides: Mapping[str, Any]

    def read(self) -> tuple[list[Layer], list[Problem], list[str]]:
        """The layers from the weakest, what made others unreadable, and warnings."""
        layers: list[Layer] = []
        problems: list[Problem] = []
        warnings: list[str] = []
        for found in self._all(warnings):
            if isinstance(found, Problem):
                problems.append(found)
            elif found.document:
                layers.append(found)
        return layers, problems, warnings

    def file(self) -> tuple[Path, bool]:
        """The configuration file, and whether somebody named it."""
        if self.path is not None:
            return self.path, True
        named = self.environ.get(PATH_VARIABLE)
        return (DEFAULT_PATH, False) if named is None else (Path(named), True)

    def _all(self, warnings: list[str]) -> Iterator[Layer | Problem]:
        if self.path is None and self.environ.get(PATH_VARIABLE) == "":
            yield Problem(
                "is set but empty; name a file or unset it",
                origin=Origin("environment", PATH_VARIABLE),
            )
            return
        yield from self._files()
        yield from read_credentials(self.schema, self.environ)
        yield from read_environment(self.schema, self.environ, warnings)
        yield from read_overrides(self.overrides)

    def _files(self) -> Iterator[Layer | Problem]:
        path, is_named = self.file()
        yield from read_file(self.schema, "file", path, may_miss=not is_named)
        directory = path.parent / "conf.d"
        try:
            names = sorted(entry.name for entry in directory.iterdir())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return
        except OSError as error:
            yield Problem(
                f"cannot be listed: {error.strerror}", origin=Origin("conf.d", str(directory))
            )
            return
        for name in names:
            if name.endswith(".json") and not name.startswith("."):
                yield from read_file(self.schema, "conf.d", directory / name)


def read_file(
    schema: Schema, layer: str, path: Path, *, may_miss: bool = False
) -> Iterator[Layer | Problem]:
    """The layer of a JSON file, or what is wrong with the file."""
    origin = Origin(layer, str(path))
    try:
        file = read_text(path)
    except MissingFileError as fault:
        if not may_miss:
            yield Problem(f"{fault}; name a file that does", origin=origin)
        return
    except FileFaultError as fault:
        yield Problem(str(fault), origin=origin)
        return
    try:
        document = parse(file.text)
    except DuplicateKeyError:
        yield from _duplicates(layer, path, file.text)
        return
    except JsonFaultError as fault:
        yield _malformed(schema, origin, file.text, fault)
        return
    if not isinstance(document, dict):
        yield Problem(
            "is not a JSON object", origin=origin, expected='an object such as {"github": {…}}'
        )
        return
    document.pop("$schema", None)
    yield Layer(
        layer, document, str(path), text=file.text, is_open_to_others=file.is_open_to_others
    )


def _duplicates(layer: str, path: Path, text: str) -> Iterator[Problem]:
    from claude_flow.config.positions import locate  # noqa: PLC0415 - only faults need it

    for key, position in locate(text).duplicates:
        yield Problem(
            "is named twice in one object; keep one of them",
            key=".".join(key),
            origin=Origin(layer, str(path), position.line, position.column),
        )


def _malformed(schema: Schema, origin: Origin, text: str, fault: JsonFaultError) -> Problem:
    if fault.offset is None:
        return Problem(f"is not usable JSON: it {fault.message}", origin=origin)
    words = {part for key in schema.settings for part in key.split(".")}
    return Problem(
        f"is not JSON: {fault.message}",
        origin=Origin(origin.layer, origin.source, *line_and_column(text, fault.offset)),
        excerpt=caret(text, fault.offset, frozenset(words | {"true", "false", "null"})),
    )


def read_credentials(schema: Schema, environ: Mapping[str, str]) -> Iterator[Layer | Problem]:
    """What systemd's LoadCredential= gives: each secret, or the path of its file."""
    directory = environ.get(CREDENTIALS_VARIABLE)
    if not directory:
        return
    for setting in schema.settings.values():
        if setting.credential is None:
            continue
        path = str(Path(directory) / setting.credential)
        try:
            content = read_secret_file(path)
        except MissingFileError:
            continue
        except FileFaultError as fault:
            yield Problem(str(fault), key=setting.key, origin=Origin("credential", path))
            continue
        value = path if setting.is_secret_file else content
        yield Layer("credential", _nest(setting.key, value), path)


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
        merge(document, _nest(key, value))
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


def read_overrides(overrides: Mapping[str, Any]) -> Iterator[Layer | Problem]:
    """The layer of explicit overrides; keys are dotted or nested."""
    try:
        values = parse(json.dumps(overrides, allow_nan=False))
    except JsonFaultError as fault:
        yield Problem(f"are not usable: one {fault.message}", origin=Origin("override"))
        return
    except (TypeError, ValueError, RecursionError):
        yield Problem("are not JSON values", origin=Origin("override"))
        return
    document: dict[str, Any] = {}
    for key, value in values.items():
        merge(document, _nest(key, value))
    yield Layer("override", document)


def _nest(key: str, value: Any) -> dict[str, Any]:
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
