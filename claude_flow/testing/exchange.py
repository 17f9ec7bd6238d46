"""One request to the stand-in GitHub and its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """A request that got past the gate. ``login`` is who the token belongs to."""

    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    login: str

    def data(self) -> dict[str, Any]:
        """The body as a JSON object; ApiError 400 if it is none."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as error:
            raise ApiError(400, "Problems parsing JSON") from error
        if not isinstance(value, dict):
            raise ApiError(400, "Body should be a JSON object")
        return value

    def refuse_unserved(self, *served: str) -> None:
        """501 for a parameter that GitHub would heed and the stand-in would not."""
        given = self.query if self.method == "GET" else self.data()
        for name in given:
            if name not in served:
                raise ApiError(501, f"the stand-in does not serve the parameter {name!r} here")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back; ``value`` None sends no body."""

    value: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """An answer in GitHub's form of an error."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: list[dict[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        body: dict[str, Any] = {"message": message}
        if errors is not None:
            body["errors"] = errors
        body["documentation_url"] = "https://docs.github.com/rest"
        body["status"] = str(status)
        self.answer = Answer(body, status, headers or {})


def invalid(resource: str, field_name: str, code: str, message: str | None = None) -> ApiError:
    """422 in GitHub's form."""
    fault = {"resource": resource, "field": field_name, "code": code}
    return ApiError(
        422, "Validation Failed", [fault if message is None else fault | {"message": message}]
    )


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A line of the request log; it never holds the token."""

    method: str
    path: str
    query: str
    status: int
    login: str | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A whole exchange, for a checker.

    ``template`` is the path as GitHub's description writes it, None if nothing serves it.
    ``scripted`` says that the answer is a scripted fault and not the stand-in's own.
    """

    method: str
    path: str
    template: str | None
    query: str
    request_headers: Mapping[str, str]
    request_body: bytes
    status: int
    response_headers: Mapping[str, str]
    response_body: bytes
    scripted: bool


Checker = Callable[[Exchange], None]
"""Called with every exchange, from the server's thread."""
