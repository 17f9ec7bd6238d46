"""What the role has to know of a configuration, read from its JSON Schema on the controller."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Json = Any
Schema = Mapping[str, Any]


class FilterModule:
    """The filters, as Ansible looks for them."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By the name that templates use."""
        return {
            "claude_flow_faults": faults,
            "claude_flow_deployed": deployed,
            "claude_flow_effective": effective,
            "claude_flow_restart_keys": restart_keys,
            "claude_flow_credential_names": credential_names,
        }


def faults(config: Json, schema: Schema) -> list[str]:
    """Everything that is wrong with a configuration, one line each; never a secret's value."""
    # Imported late: without it the role still says in one line what the controller lacks.
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    config = _plain(config)
    known = dict(_settings(schema))
    found = [_secret_fault(key, known[key]) for key in _given(config) if _is_secret(known, key)]
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    whole = effective(config, schema)
    for error in sorted(validator.iter_errors(whole), key=lambda error: str(error.json_path)):
        found.extend(line for line in _lines(error, schema, known) if line not in found)
    if not _at(config, "github.repositories"):
        found.append(
            "github.repositories: empty; name at least one repository as owner/name "
            "(claude_flow_config in ansible/group_vars/claude_flow/main.yml)"
        )
    return found


def _lines(error: Any, schema: Schema, known: Mapping[str, Schema]) -> Iterator[str]:
    key = ".".join(str(part) for part in error.absolute_path)
    path = list(error.absolute_schema_path)
    if error.validator == "additionalProperties":
        for name in sorted(set(error.instance) - set(error.schema.get("properties", {}))):
            full = f"{key}.{name}" if key else name
            yield f"{full}: no such setting{_suggestion(full, known)}"
    elif path[0] == "allOf":
        rule = schema["allOf"][path[1]]
        yield f"{', '.join(rule['x-keys'])}: {rule['x-message']}"
    elif not _is_secret(known, key):
        expected = known.get(key, {}).get("description")
        hint = f" ({expected})" if expected else ""
        yield f"{key or 'claude_flow_config'}: {error.message}{hint}"


def _suggestion(key: str, known: Mapping[str, Schema]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
    near = near or [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]]
    return f"; did you mean {near[0]}?" if near else ""


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


def restart_keys(config: Json, before: str, schema: Schema) -> list[str]:
    """The settings that differ from the text of the old file and only apply after a restart."""
    try:
        old = json.loads(before or "{}")
    except json.JSONDecodeError:
        old = {}
    was, now = effective(old, schema), effective(_plain(config), schema)
    return [
        key
        for key, leaf in _settings(schema)
        if leaf.get("x-reload") == "restart" and _at(was, key) != _at(now, key)
    ]


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
