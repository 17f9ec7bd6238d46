"""What the role has to know of a configuration, read from its JSON Schema on the controller."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Json = Any
Schema = Mapping[str, Any]


def faults(config: Json, schema: Schema, credentials: Iterable[str] = ()) -> list[str]:
    """Everything that is wrong with a configuration, one line each; never a secret's value.

    ``credentials`` are the names of the secrets that the service is handed beside it.
    """
    # Imported late: without it the role still says in one line what the controller lacks.
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    config = _plain(config)
    known = dict(_settings(schema))
    found = [_secret_fault(key, known[key]) for key in _given(config) if _is_secret(known, key)]
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    whole = _with_credentials(effective(config, schema), known, set(credentials))
    for error in sorted(validator.iter_errors(whole), key=lambda error: str(error.json_path)):
        found.extend(line for line in _lines(error, schema, known) if line not in found)
    if not _at(config, "github.repositories"):
        found.append(
            "github.repositories: empty; name at least one repository as owner/name "
            "(claude_flow_config in ansible/group_vars/claude_flow/main.yml)"
        )
    if not any(_at(whole, f"github.{key}") for key in ("token", "token_file", "app.id")):
        found.append(
            "github.token: no credential for GitHub; give claude_flow_github_token, or a GitHub "
            "App (github.app.id, github.app.installation_id and claude_flow_github_app_key)"
        )
    if _at(whole, "github.app.id") and not _at(whole, "github.app.private_key_file"):
        found.append(
            "github.app.id: the App's key is missing; give it as claude_flow_github_app_key"
        )
    return found


def _with_credentials(whole: Json, known: Mapping[str, Schema], names: set[str]) -> Json:
    # That they are there is all that matters here; the service reads them on the host.
    for key, leaf in known.items():
        if leaf.get("x-credential") in names:
            *sections, last = key.split(".")
            place = whole
            for section in sections:
                place = place.get(section) if isinstance(place, dict) else None
            if isinstance(place, dict) and place.get(last) is None:
                place[last] = "/given"
    return whole


def _lines(error: Any, schema: Schema, known: Mapping[str, Schema]) -> Iterator[str]:
    key = ".".join(str(part) for part in error.absolute_path)
    path = list(error.absolute_schema_path)
    if error.validator == "additionalProperties":
        for name in sorted(set(error.instance) - set(error.schema.get("properties", {}))):
            full = f"{key}.{name}" if key else name
            yield f"{full}: {_unknown(full, schema, known)}"
    elif path[0] == "allOf":
        rule = schema["allOf"][path[1]]
        yield f"{', '.join(rule['x-keys'])}: {rule['x-message']}"
    elif not _is_secret(known, key) and error.instance != "/given":
        leaf = known.get(key) or known.get(key.rpartition(".")[0], {})  # or one of a list
        expected = leaf.get("description")
        hint = f" ({expected})" if expected else ""
        yield f"{key or 'claude_flow_config'}: {error.message}{hint}"


def _unknown(key: str, schema: Schema, known: Mapping[str, Schema]) -> str:
    renamed = schema.get("x-renamed", {})
    if key in renamed:
        return f"an older name; {_today(renamed[key])}"
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
    near = near or [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]]
    return f"no such setting{f'; did you mean {near[0]}?' if near else ''}"


def _today(name: str | None) -> str:
    return f"it is {name} today" if name else "the role does it by itself today"


def _secret_fault(key: str, leaf: Schema) -> str:
    return (
        f"{key}: a secret does not belong in the configuration; "
        f"give it as claude_flow_credentials['{leaf['x-credential']}']"
    )


def _is_secret(known: Mapping[str, Schema], key: str) -> bool:
    return bool(known.get(key, {}).get("x-secret"))


def deployed(config: Json) -> Json:
    """The configuration as the role writes it: attempts are units unless it says otherwise."""
    execution = config.get("execution", {}) if isinstance(config, Mapping) else None
    if not isinstance(execution, Mapping):
        return config  # ``faults`` judges it
    return {**config, "execution": {"backend": "systemd", **execution}}


def effective(config: Json, schema: Schema) -> Json:
    """The configuration over the schema's defaults.

    What the schema does not know, or knows in another shape, stays: ``faults`` judges it.
    """
    if config is not None and not isinstance(config, Mapping):
        return config
    merged: dict[str, Json] = dict(config or {})
    for name, child in schema.get("properties", {}).items():
        if "properties" in child:
            merged[name] = effective(merged.get(name), child)
        elif "default" in child:
            merged.setdefault(name, child["default"])
    return merged


def restart_values(config: Json, schema: Schema) -> dict[str, tuple[Json, Json]]:
    """The settings that only apply after a restart: the value to come, and the default."""
    now, default = effective(_plain(config), schema), effective({}, schema)
    return {
        key: (_at(now, key), _at(default, key))
        for key, leaf in _settings(schema)
        if leaf.get("x-reload") == "restart"
    }


def credential_names(schema: Schema) -> list[str]:
    """The systemd credentials that can give a setting's value."""
    return sorted(leaf["x-credential"] for _, leaf in _settings(schema) if "x-credential" in leaf)


def _settings(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    for name, child in schema.get("properties", {}).items():
        if "properties" in child:
            yield from _settings(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def _given(config: Json, prefix: str = "") -> Iterator[str]:
    if isinstance(config, Mapping):
        for name, child in config.items():
            yield f"{prefix}{name}"
            yield from _given(child, f"{prefix}{name}.")


def _at(document: Json, key: str) -> Json:
    for name in key.split("."):
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _plain(config: Json) -> Json:
    # Ansible hands over its own kinds of text and numbers; JSON knows neither.
    return json.loads(json.dumps(config))
