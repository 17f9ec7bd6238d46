"""Layers to one valid configuration, or to every fault at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from claude_flow.config.errors import ConfigError, Origin, Problem
from claude_flow.config.layers import Layer, nest, show
from claude_flow.config.private_key import check_private_key
from claude_flow.config.schema import Schema
from claude_flow.config.secret import FileFaultError, read_secret_file
from claude_flow.config.snapshot import DEFAULT, Secrets, Snapshot, file_problem, located
from claude_flow.config.sources import Sources
from claude_flow.config.validation import flatten, layer_problems, rule_problems
from claude_flow.journal import Redactor

# Described by the schema, but nothing acts on them yet: better refused than passed over.
_NOT_IN_THIS_RELEASE = {"github.webhook.enabled": True}


@dataclass(frozen=True, slots=True)
class Demands:
    """What is asked of a configuration beyond the schema.

    ``files``: the files that settings name are read; false for another host's configuration.
    ``repository`` and ``credential``: a daemon could start with it.
    """

    files: bool = True
    repository: bool = False
    credential: bool = False


def build(sources: Sources, demands: Demands) -> Snapshot:
    """Read, merge and judge all layers. Raises ConfigError with every fault."""
    schema = sources.schema
    layers, problems, warnings = sources.read()
    # What an unreadable file would have set is unknown: settings are not judged together then.
    unread = any(p.origin and p.origin.layer in {"file", "conf.d"} for p in problems)
    values = dict(schema.defaults)
    rank: dict[str, int] = {}
    for index, layer in enumerate(layers):
        problems.extend(layer_problems(schema, layer, located))
        for key, value in flatten(schema, layer.document):
            values[key] = value
            rank[key] = index

    def origin_of(key: str) -> Origin:
        return located(layers[rank[key]], tuple(key.split("."))) if key in rank else DEFAULT

    if not unread:
        together = list(rule_problems(schema, _nested(values), origin_of))
        together.extend(_startability_problems(values, demands))
        # What a faulty or misnamed setting would have set is told there already.
        told = {name for problem in problems for name in (problem.key, problem.suggestion)}
        problems.extend(problem for problem in together if problem.key not in told)
    contents: dict[str, str] = {}
    if demands.files:
        problems.extend(_read_secret_files(schema, values, contents, origin_of))
    secret_files: dict[str, str] = {}
    problems.extend(_take_contents(schema, values, contents, rank, secret_files, origin_of))
    if problems:
        raise ConfigError(sorted(_redacted(problems, schema, layers), key=_place))
    _normalise(schema, values)
    return Snapshot(schema, values, layers, Secrets(contents, secret_files), warnings)


def _startability_problems(values: Mapping[str, Any], demands: Demands) -> Iterator[Problem]:
    if demands.repository and not values["github.repositories"]:
        yield Problem(
            'no repository to watch; add one, such as ["owner/name"]', key="github.repositories"
        )
    if demands.credential:
        yield from _credential_problems(values)
    if demands.repository:
        for key, value in _NOT_IN_THIS_RELEASE.items():
            if values[key] == value:
                yield Problem(f"{show(value)} is not available in this release", key=key)


def _credential_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    # A file that is named but unusable is a fault of its own.
    if values["github.app.id"] is not None:
        if values["github.app.private_key_file"] is None:
            yield Problem(
                "no key for the GitHub App; set github.app.private_key_file or give the systemd"
                " credential github-app-key",
                key="github.app.private_key_file",
            )
    elif values["github.token"] is values["github.token_file"] is None:
        yield Problem(
            "no credential for GitHub; set github.token_file or give the systemd credential"
            " github-token",
            key="github.token",
        )


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        inner = result
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[name] = value
    return result


def _read_secret_files(
    schema: Schema,
    values: dict[str, Any],
    contents: dict[str, str],
    origin_of: Callable[[str], Origin],
) -> Iterator[Problem]:
    """Read the secret files that settings name into ``contents``, by the settings' keys."""
    for key, setting in schema.settings.items():
        path = values[key]
        if not setting.is_secret_file or path is None:
            continue
        if not schema.layer_validator.is_valid(nest(key, path)):
            continue  # a fault of its own, told already
        try:
            contents[key] = read_secret_file(path)
            if setting.file_holds == "rsa-private-key":
                check_private_key(contents[key])
        except FileFaultError as fault:
            yield file_problem(key, path, fault, origin_of(key))


def _take_contents(
    schema: Schema,
    values: dict[str, Any],
    contents: Mapping[str, str],
    rank: Mapping[str, int],
    secret_files: dict[str, str],
    origin_of: Callable[[str], Origin],
) -> Iterator[Problem]:
    """Give the settings that a file stands for its first line, unless a later layer did.

    ``secret_files`` learns which file each such setting came from.
    """
    for key, setting in schema.settings.items():
        file_key = setting.from_file
        if file_key is None or file_key not in contents:
            continue
        direct = rank.get(key, -1) if values[key] is not None else -1
        if direct == rank[file_key]:
            yield Problem(
                f"is set beside {file_key}; keep one of them", key=key, origin=origin_of(key)
            )
        elif direct < rank[file_key]:
            # The first line: a file made by an editor or by echo ends in a line break.
            values[key] = contents[file_key].splitlines()[0].strip()
            secret_files[key] = values[file_key]
            if not schema.layer_validator.is_valid(nest(key, values[key])):
                yield Problem(
                    f"the first line of {values[file_key]} is not valid",
                    key=key,
                    origin=origin_of(file_key),
                    expected=setting.expected,
                )


_READ_IN_ORDER = ("file", "conf.d", "secret file", "credential", "environment", "override")


def _place(problem: Problem) -> tuple[int, str, int, int]:
    """Orders faults as somebody who mends them goes through the sources."""
    origin = problem.origin
    if origin is None or origin.layer not in _READ_IN_ORDER:
        return len(_READ_IN_ORDER), "", 0, 0
    layer = _READ_IN_ORDER.index(origin.layer)
    return layer, origin.source or "", origin.line or 0, origin.column or 0


def _redacted(problems: list[Problem], schema: Schema, layers: Sequence[Layer]) -> list[Problem]:
    """The faults without any secret, also not one pasted into a wrong place."""
    secrets = [
        value
        for layer in layers
        for key, value in flatten(schema, layer.document)
        if isinstance(value, str) and schema.settings[key].is_secret
    ]
    redact = Redactor(secrets).redact
    return [
        Problem(
            message=redact(problem.message),
            key=problem.key and redact(problem.key),
            origin=problem.origin,
            value=problem.value and redact(problem.value),
            expected=problem.expected,
            suggestion=problem.suggestion,
            excerpt=problem.excerpt and redact(problem.excerpt),
        )
        for problem in problems
    ]


def _normalise(schema: Schema, values: dict[str, Any]) -> None:
    """JSON calls 3.0 an integer; Python's users expect 3."""
    for key, value in values.items():
        if isinstance(value, float) and "integer" in schema.settings[key].types:
            values[key] = int(value)
