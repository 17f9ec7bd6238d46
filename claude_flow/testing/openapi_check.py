"""Checks exchanges with the stand-in GitHub against GitHub's own OpenAPI description.

Both sides are checked: what the product sends and what the stand-in answers, so that neither
drifts from the real thing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from claude_flow.testing.exchange import Exchange
from claude_flow.testing.github_api import EDITS_QUERY
from claude_flow.testing.openapi_schemas import description, resolved, validator

_BASIC_ERROR = {"$ref": "#/components/schemas/basic-error", "unevaluatedProperties": False}
_GRAPHQL_REQUEST = {
    "type": "object",
    "required": ["query", "variables"],
    "additionalProperties": False,
    "properties": {
        "query": {"const": EDITS_QUERY},
        "variables": {
            "type": "object",
            "required": ["owner", "name", "number"],
            "additionalProperties": False,
            "properties": {
                "owner": {"type": "string"},
                "name": {"type": "string"},
                "number": {"type": "integer"},
            },
        },
    },
}


class OpenApiCheck:
    """A checker for ``World``; ``faults`` holds one line per fault found."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def __call__(self, exchange: Exchange) -> None:
        """Check one exchange."""
        where = f"{exchange.method} {exchange.path} -> {exchange.status}"
        self.faults += [f"{where}: {fault}" for fault in faults_of(exchange)]


def faults_of(exchange: Exchange) -> list[str]:
    """What is wrong with an exchange, in words; empty if nothing is."""
    if exchange.template == "/graphql":
        return list(_graphql_faults(exchange))
    item = description()["paths"].get(exchange.template or "", {})
    operation = item.get(exchange.method.lower())
    if operation is None:
        return ["GitHub describes no such operation, or the stand-in does not serve it"]
    faults = [*_request_faults(exchange, operation)]
    if not exchange.scripted:
        faults += _answer_faults(exchange, operation)
    return faults


def _request_faults(exchange: Exchange, operation: dict[str, Any]) -> Iterator[str]:
    described = [resolved(parameter) for parameter in operation.get("parameters", [])]
    by_name = {one["name"]: one for one in described if one["in"] == "query"}
    for name, text in parse_qsl(exchange.query, keep_blank_values=True):
        if name not in by_name:
            yield f"query: {name!r} is not known to GitHub"
        else:
            yield from _value_faults(f"query: {name}", by_name[name]["schema"], text)
    for parameter in described:
        if parameter["in"] == "path":
            given = _path_value(exchange, parameter["name"])
            if given is not None:
                yield from _value_faults(f"path: {parameter['name']}", parameter["schema"], given)
    yield from _body_faults(exchange, operation)


def _body_faults(exchange: Exchange, operation: dict[str, Any]) -> Iterator[str]:
    body = exchange.request_body
    wanted = operation.get("requestBody")
    if wanted is None:
        if body:
            yield f"request: GitHub expects no body, got {body[:60]!r}"
        return
    if not body:
        if wanted.get("required", False):
            yield "request: GitHub expects a body"
        return
    yield from _json_faults("request", wanted["content"]["application/json"]["schema"], body)


def _answer_faults(exchange: Exchange, operation: dict[str, Any]) -> Iterator[str]:
    status = exchange.status
    if status == HTTPStatus.NOT_MODIFIED:
        # Described for few operations, but sent for all that can be cached.
        if exchange.response_body:
            yield "answer: a 304 has no body"
        return
    described = operation["responses"].get(str(status))
    if described is not None:
        content = resolved(described).get("content", {})
        schema = content.get("application/json", {}).get("schema")
    elif status >= HTTPStatus.MULTIPLE_CHOICES:
        # Refused tokens, rate limits and redirects are described once for all, in prose.
        schema = _BASIC_ERROR
    else:
        yield f"answer: GitHub does not answer {status} here"
        return
    if schema is not None:
        yield from _json_faults("answer", schema, exchange.response_body)


def _graphql_faults(exchange: Exchange) -> Iterator[str]:
    try:
        data = json.loads(exchange.request_body)
    except ValueError:
        yield "request: the body is not JSON"
        return
    yield from _schema_faults("request", Draft202012Validator(_GRAPHQL_REQUEST), data)


def _json_faults(side: str, schema: dict[str, Any], body: bytes) -> Iterator[str]:
    try:
        data = json.loads(body)
    except ValueError:
        yield f"{side}: the body is not JSON: {body[:60]!r}"
        return
    yield from _schema_faults(side, validator(schema), data)


def _schema_faults(side: str, against: Draft202012Validator, data: Any) -> Iterator[str]:
    for error in against.iter_errors(data):
        # Of alternatives that all fail, the nearest one tells most.
        nearest = best_match([error]) or error
        yield f"{side}: {nearest.json_path}: {nearest.message[:300]}"


def _path_value(exchange: Exchange, name: str) -> str | None:
    names = (exchange.template or "").split("/")
    values = exchange.path.split("/")
    # A path by the repository's id has fewer parts and was made by GitHub itself.
    if len(names) != len(values):
        return None
    return unquote(values[names.index(f"{{{name}}}")])


def _value_faults(where: str, schema: dict[str, Any], text: str) -> Iterator[str]:
    """Faults of a value that came as text: read as the type that is described."""
    value: Any = text
    if schema.get("type") == "integer" and text.lstrip("-").isdecimal():
        value = int(text)
    elif schema.get("type") == "boolean" and text in {"true", "false"}:
        value = text == "true"
    yield from _schema_faults(where, validator(schema), value)
