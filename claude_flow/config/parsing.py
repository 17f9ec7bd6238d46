"""JSON texts to values: strict, and never anything but a value or a JsonFault."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_MAX_DEPTH = 32
_WIDTH = 100
_WORD = re.compile(r"[^\s{}\[\]:,\"]+")


class JsonFaultError(ValueError):
    """A text is not JSON, or not such that a configuration may hold it.

    ``offset`` counts characters from 0, None where no one place is at fault. The message
    holds nothing of the text.
    """

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class DuplicateKeyError(JsonFaultError):
    """An object names a key twice; which, only the positions tell.

    ``value`` is what the text means if the later one counts, as most readers take it.
    """

    def __init__(self, message: str, value: Any) -> None:
        super().__init__(message)
        self.value = value


def parse(text: str) -> Any:
    """The value of a JSON text.

    Raises JsonFaultError for what is malformed, nested deeper than any setting, not finite or
    not representable in UTF-8, and DuplicateKeyError.
    """
    named_twice = False

    def notice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal named_twice
        result = dict(pairs)
        named_twice = named_twice or len(result) != len(pairs)
        return result

    try:
        value = json.loads(
            text,
            object_pairs_hook=notice,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except json.JSONDecodeError as error:
        raise JsonFaultError(_plain(error.msg), error.pos) from None
    except RecursionError:
        raise JsonFaultError("is nested too deeply") from None
    except JsonFaultError:
        raise
    except ValueError:  # an integer of more digits than Python converts
        raise JsonFaultError("holds a number that is too long") from None
    if text.count("[") + text.count("{") > _MAX_DEPTH and _depth_exceeds(value, _MAX_DEPTH):
        raise JsonFaultError("is nested too deeply")
    if "\\ud" in text.lower():
        _refuse_surrogates(value)
    if named_twice:
        raise DuplicateKeyError("names a key twice", value)
    return value


def _plain(message: str) -> str:
    """Python's message without the characters of the text it may quote."""
    return message.partition(": ")[0]


def _refuse_constant(name: str) -> Any:
    raise JsonFaultError(f"holds {name}, which is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise JsonFaultError("holds a number that is too large")
    return number


def _refuse_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise JsonFaultError("holds half a character (an unpaired \\ud800 escape)") from None


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Where a character stands, both from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def caret(text: str, offset: int, known: frozenset[str]) -> str:
    """The line of a malformed text over a caret, with all but ``known`` words masked.

    What a malformed text means is unknown, so any word in it may be a secret.
    """
    line_number, column = line_and_column(text, offset)
    line = text.split("\n")[line_number - 1].rstrip("\r")
    start = max(0, column - 1 - _WIDTH // 2)
    shown = _WORD.sub(lambda word: _mask(word, known), line)[start : start + _WIDTH]
    shown = "".join(character if character.isprintable() else " " for character in shown)
    gutter = f"{line_number} | "
    return f"{gutter}{shown}\n{' ' * (len(gutter) + column - 1 - start)}^"


def _mask(word: re.Match[str], known: frozenset[str]) -> str:
    return word[0] if word[0] in known else "*" * len(word[0])
