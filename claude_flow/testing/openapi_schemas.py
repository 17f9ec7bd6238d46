"""GitHub's OpenAPI description as JSON Schema 2020-12 that also refuses unknown keys."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DESCRIPTION = Path(__file__).with_name("github_openapi.json")
_BASE = "urn:github"
_BRANCHES = ("allOf", "anyOf", "oneOf")
_KEPT_AS_THEY_ARE = frozenset(
    {
        "$ref", "default", "enum", "format", "maxItems", "maxLength", "maximum", "minItems",
        "minLength", "minimum", "pattern", "required", "type",
    }
)  # fmt: skip


@cache
def description() -> dict[str, Any]:
    """The description, its schemas adapted."""
    whole: dict[str, Any] = json.loads(DESCRIPTION.read_text())
    schemas = whole["components"]["schemas"]
    # GitHub sends its status in every error, but describes it in the basic one only.
    schemas["validation-error"]["properties"]["status"] = {"type": "string"}
    # An account that was deleted shows as null; the events' schemas forgot that.
    for name, schema in schemas.items():
        if name.endswith("-issue-event") and "actor" in schema.get("properties", {}):
            schema["properties"]["actor"] = {"$ref": "#/components/schemas/nullable-simple-user"}
    whole["components"]["schemas"] = {name: _adapt(node) for name, node in schemas.items()}
    whole["components"].pop("examples", None)
    for part in ("parameters", "responses"):
        whole["components"][part] = _adapt_places(whole["components"][part])
    whole["paths"] = _adapt_places(whole["paths"])
    return whole


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """The node, or what it refers to inside the description."""
    while "$ref" in node:
        found: Any = description()
        for key in node["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        node = found
    return node


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """A validator of a schema of the description."""
    return Draft202012Validator(
        _absolute(schema), registry=_registry(), format_checker=Draft202012Validator.FORMAT_CHECKER
    )


@cache
def _registry() -> Registry[Any]:
    resource = Resource.from_contents(description(), default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource(_BASE, resource)
    return registry


def _absolute(node: Any) -> Any:
    """The node with its references made absolute, for use outside the description."""
    if isinstance(node, list):
        return [_absolute(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _BASE + value if key == "$ref" else _absolute(value) for key, value in node.items()
    }


def _adapt_places(node: Any) -> Any:
    """Adapt every schema below a part of the description that is no schema itself."""
    if isinstance(node, list):
        return [_adapt_places(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _place(value) if key == "schema" else _adapt_places(value)
        for key, value in node.items()
    }


def _place(schema: dict[str, Any]) -> dict[str, Any]:
    """Adapt a schema where a value is meant: here unknown keys are faults."""
    adapted = _adapt(schema)
    is_object = adapted.keys() & {"properties", "$ref", *_BRANCHES}
    if is_object and "additionalProperties" not in adapted:
        return adapted | {"unevaluatedProperties": False}
    return adapted


def _adapt(schema: dict[str, Any]) -> dict[str, Any]:
    """Adapt a schema that may be one part of another one.

    OpenAPI 3.0's ``nullable`` becomes an alternative. GitHub's ``oneOf`` alternatives overlap
    (labels by name or by object, and the like), so they are read as ``anyOf``. An object of
    which nothing is said may hold anything.
    """
    adapted = {key: value for key, value in schema.items() if key in _KEPT_AS_THEY_ARE}
    adapted |= _adapt_object(schema)
    if "items" in schema:
        adapted["items"] = _place(schema["items"])
    if "allOf" in schema:
        adapted["allOf"] = [_adapt(part) for part in schema["allOf"]]
    alternatives = [*schema.get("anyOf", []), *schema.get("oneOf", [])]
    if alternatives:
        adapted["anyOf"] = [_adapt(part) for part in alternatives]
    if schema.get("nullable"):
        return {"anyOf": [{"type": "null"}, adapted]}
    return adapted


def _adapt_object(schema: dict[str, Any]) -> dict[str, Any]:
    others = schema.get("additionalProperties")
    if "properties" in schema:
        parts = {name: _place(part) for name, part in schema["properties"].items()}
        if others in (None, True):
            return {"properties": parts}
        return {"properties": parts, "additionalProperties": others and _adapt(others)}
    if schema.get("type") == "object" and not schema.keys() & set(_BRANCHES):
        return {
            "additionalProperties": others if isinstance(others, bool) else _adapt(others or {})
        }
    return {}
