"""Texts of environment variables to values of the type that the schema names."""

from __future__ import annotations

import re
from typing import Any

from claude_flow.config.parsing import JsonFaultError, parse
from claude_flow.config.schema import Setting

_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_SPACE = " \t\r\n"
_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,4000}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


class CoercionError(ValueError):
    """A text does not name a value of the setting's type; the message holds nothing of it."""


def coerce(text: str, setting: Setting) -> Any:
    """The value that a text means for a setting. Raises CoercionError."""
    types = setting.types
    if "string" in types:
        return text
    if text == "null" and "null" in types:
        return None
    if "boolean" in types:
        return _boolean(text)
    if "integer" in types:
        return _integer(text)
    if "number" in types:
        return _number(text)
    return parse_json(text)


def _boolean(text: str) -> bool:
    try:
        return _WORDS[text.strip(_SPACE).lower()]
    except KeyError:
        raise CoercionError("is none of true, false, yes, no, on, off, 1, 0") from None


def _integer(text: str) -> int:
    text = text.strip(_SPACE)
    if not _INTEGER.fullmatch(text):
        raise CoercionError("is not an integer")
    return int(text)


def _number(text: str) -> int | float:
    text = text.strip(_SPACE)
    if _INTEGER.fullmatch(text):
        return int(text)
    if not _NUMBER.fullmatch(text):
        raise CoercionError("is not a number")
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise CoercionError("is too large a number")
    return number


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises CoercionError."""
    try:
        return parse(text)
    except JsonFaultError as fault:
        place = "" if fault.offset is None else f" at character {fault.offset + 1}"
        raise CoercionError(f"is not usable JSON: {fault.message}{place}") from None
