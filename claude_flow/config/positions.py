"""Where the keys of a JSON text stand.

Only errors and ``explain`` ask, so the parser behind it loads on first use.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

import tree_sitter
import tree_sitter_json


@dataclass(frozen=True, slots=True)
class Position:
    """A line and a column, both from 1, the column in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Positions:
    """Positions in one text.

    ``values`` gives where the value at a path of keys and list indexes stands, ``duplicates``
    each key that its object had named before.
    """

    values: dict[tuple[str, ...], Position]
    duplicates: list[tuple[tuple[str, ...], Position]]


@cache
def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_json.language()))


@lru_cache(maxsize=8)
def locate(text: str) -> Positions:
    """The positions in a well-formed JSON text."""
    raw = text.encode()
    lines = raw.split(b"\n")
    values: dict[tuple[str, ...], Position] = {}
    duplicates = []
    for path, key, value in _pairs(_parser().parse(raw).root_node):
        if path in values:
            duplicates.append((path, _position(key, lines)))
        values[path] = _position(value, lines)
    return Positions(values, duplicates)


def _pairs(
    root: tree_sitter.Node,
) -> Iterator[tuple[tuple[str, ...], tree_sitter.Node, tree_sitter.Node]]:
    waiting: deque[tuple[tuple[str, ...], tree_sitter.Node]] = deque(
        ((), node) for node in root.named_children
    )
    while waiting:
        path, node = waiting.popleft()
        for inner, key, value in _inside(path, node):
            yield inner, key, value
            waiting.append((inner, value))


def _inside(
    path: tuple[str, ...], node: tree_sitter.Node
) -> Iterator[tuple[tuple[str, ...], tree_sitter.Node, tree_sitter.Node]]:
    if node.type == "array":
        for index, item in enumerate(node.named_children):
            yield (*path, str(index)), item, item
    elif node.type == "object":
        for pair in node.named_children:
            key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
            if key is not None and value is not None and key.text is not None:
                yield (*path, str(json.loads(key.text))), key, value


def _position(node: tree_sitter.Node, lines: list[bytes]) -> Position:
    row, byte_column = node.start_point
    return Position(row + 1, len(lines[row][:byte_column].decode()) + 1)
