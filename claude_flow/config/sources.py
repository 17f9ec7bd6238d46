"""The layers that a configuration is made of, each read and parsed, none yet judged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from claude_flow.config.environment import PATH_VARIABLE, read_environment
from claude_flow.config.errors import Origin, Problem
from claude_flow.config.layers import Layer, merge, nest
from claude_flow.config.parsing import (
    DuplicateKeyError,
    JsonFaultError,
    caret,
    line_and_column,
    parse,
)
from claude_flow.config.schema import Schema
from claude_flow.config.secret import FileFaultError, MissingFileError, read_secret_file, read_text

DEFAULT_PATH = Path("/etc/claude-flow/config.json")
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"


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
    edits: Mapping[str, Any] = field(default_factory=dict)
    """What a tool has set, by key, and not yet saved into the file."""
    conf_d: bool = True
    """Whether the files in ``conf.d`` are read."""

    def read(self) -> tuple[list[Layer], list[Problem], list[str]]:
        """The layers from the weakest, what made others unreadable, and warnings."""
        layers: list[Layer] = []
        problems: list[Problem] = []
        warnings: list[str] = []
        for found in self._all(warnings):
            if isinstance(found, Problem):
                problems.append(found)
            elif found.document or found.text is not None:
                layers.append(found)
        return layers, problems, warnings

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
        path, is_named = config_file(self.path, self.environ)
        # A file that a tool is about to write may be new.
        may_miss = not is_named or bool(self.edits)
        yield from read_file(self.schema, "file", path, may_miss=may_miss)
        for found in read_overrides(self.edits):
            yield (
                replace(found, name="file", source=str(path)) if isinstance(found, Layer) else found
            )
        if self.conf_d:
            yield from self._fragments(path.parent / "conf.d")

    def _fragments(self, directory: Path) -> Iterator[Layer | Problem]:
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


def config_file(path: Path | None, environ: Mapping[str, str]) -> tuple[Path, bool]:
    """The configuration file, and whether somebody named it."""
    if path is not None:
        return path, True
    named = environ.get(PATH_VARIABLE)
    return (DEFAULT_PATH, False) if named is None else (Path(named), True)


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
    except DuplicateKeyError as fault:
        yield from _duplicates(layer, path, file.text)
        document = fault.value  # so that its other faults are told at once
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
        yield Layer("credential", nest(setting.key, value), path)


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
        merge(document, nest(key, value))
    yield Layer("override", document)
