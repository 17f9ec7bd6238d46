"""YAML as plain values, each with the line it stands on.

Only what JSON has: no aliases (a few lines of them stand for gigabytes), no tags, no dates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from claude_flow.workflow_file.faults import Fault, FaultyFileError

Path = tuple[str | int, ...]

_DEEPEST = 10
_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """``values`` is what the YAML says; ``lines`` tells for each path in it the line."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line of a path, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str, *, first_line: int) -> FrontMatter:
    """Read YAML whose first line is ``first_line`` of its file. Raises FaultyFileError."""
    reader = _Reader(first_line)
    try:
        reader.check_shape(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return FrontMatter()
        values = reader.value(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = first_line if mark is None else first_line + mark.line
        raise FaultyFileError(Fault(line, error.problem or "is not YAML")) from error
    except yaml.reader.ReaderError as error:
        line = first_line + text.count("\n", 0, error.position)
        what = f"the character {chr(error.character)!r} may not stand in YAML"
        raise FaultyFileError(Fault(line, what)) from error
    if not isinstance(values, dict):
        raise FaultyFileError(Fault(first_line, "the front matter must be keys with values"))
    return FrontMatter(values, reader.lines)


class _Reader:
    def __init__(self, first_line: int) -> None:
        self._first_line = first_line
        self.lines: dict[Path, int] = {}

    def check_shape(self, text: str) -> None:
        """Refuse what is too deep or is said by reference, before anything is built of it."""
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise self._fault(event, "anchors and aliases (& and *) are not for use here")
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > _DEEPEST:
                    raise self._fault(event, "is nested too deeply")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1

    def value(self, node: yaml.Node, path: Path) -> Any:
        """The node's value."""
        match node:
            case yaml.MappingNode():
                return {
                    name: self.value(one, (*path, name)) for name, one in self._items(node, path)
                }
            case yaml.SequenceNode():
                return [
                    self.value(one, self._noted((*path, index), one))
                    for index, one in enumerate(node.value)
                ]
            case _:
                return self._scalar(node)

    def _items(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, yaml.Node]]:
        seen: set[str] = set()
        for key, value in node.value:
            name = self._scalar(key) if isinstance(key, yaml.ScalarNode) else None
            if not isinstance(name, str):
                raise self._fault(key, "a key must be a name")
            if name in seen:
                raise self._fault(key, f"{name!r} is there twice")
            seen.add(name)
            self._noted((*path, name), key)
            yield name, value

    def _scalar(self, node: yaml.Node) -> Any:
        if node.tag not in _PLAIN:
            raise self._fault(node, f"{node.value!r} is no plain value; put it in quotes")
        try:
            value = yaml.constructor.SafeConstructor().construct_object(node)
        except ValueError:
            raise self._fault(node, "is no number that can be read") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise self._fault(node, f"{node.value} is no number")
        return value

    def _noted(self, path: Path, node: yaml.Node) -> Path:
        self.lines[path] = self._line(node)
        return path

    def _line(self, marked: yaml.Node | yaml.Event) -> int:
        mark = marked.start_mark
        return self._first_line + (0 if mark is None else int(mark.line))

    def _fault(self, marked: yaml.Node | yaml.Event, what: str) -> FaultyFileError:
        return FaultyFileError(Fault(self._line(marked), what))
