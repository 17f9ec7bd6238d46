"""From a workflow file's bytes to values that its schema allows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jsonschema_rs

from claude_flow.config import schema_path
from claude_flow.config.nearest import slip_of
from claude_flow.workflow_file.faults import Fault, FaultyFileError, invalid
from claude_flow.workflow_file.front_matter import FrontMatter, Path, read

MAX_BYTES = 65_536
_FENCE = "---"


@dataclass(frozen=True, slots=True)
class Document:
    """A valid workflow file.

    ``template`` is all below the front matter, from line ``template_line`` on; None if there is
    nothing but space.
    """

    path: str
    front: FrontMatter
    template: str | None
    template_line: int

    @property
    def values(self) -> Mapping[str, Any]:
        """What the front matter sets."""
        return self.front.values


def parse(path: str, content: bytes) -> Document:
    """Read the file ``path``. Raises WorkflowFileError, which names every fault and its line."""
    try:
        text = _text(content)
        yaml_text, template, template_line = _parts(text)
        front = read(yaml_text, first_line=2)
    except FaultyFileError as error:
        raise invalid(path, [error.fault]) from error
    faults = list(_faults(front))
    if faults:
        raise invalid(path, faults)
    return Document(path, front, template if template.strip() else None, template_line)


def _text(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise FaultyFileError(Fault(1, f"the file is larger than {MAX_BYTES} bytes"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FaultyFileError(Fault(line, "is not UTF-8")) from error
    return text.replace("\r\n", "\n")


def _parts(text: str) -> tuple[str, str, int]:
    """The YAML, the template, and the line that the template begins on."""
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return "", text, 1
    ends = [number for number, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE]
    if not ends:
        raise FaultyFileError(Fault(1, "the front matter has no end: a line that is only ---"))
    end = ends[0]
    return "".join(f"{line}\n" for line in lines[1:end]), "\n".join(lines[end + 1 :]), end + 2


@cache
def schema() -> dict[str, Any]:
    """``schemas/workflow.schema.json``."""
    document: dict[str, Any] = json.loads(
        schema_path("workflow.schema.json").read_text(encoding="utf-8")
    )
    return document


@cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema())


def _faults(front: FrontMatter) -> Iterator[Fault]:
    for error in _validator().iter_errors(front.values):
        path: Path = tuple(error.instance_path)
        kind = error.kind
        if isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
            for name in kind.unexpected:
                yield _unknown(front, path, name)
        else:
            yield Fault(front.line(path), f"{_name(path)}: {error.message}")


def _unknown(front: FrontMatter, path: Path, name: str) -> Fault:
    near = slip_of(name, _known(path))
    what = f"{_name((*path, name))} is no key of a workflow file"
    return Fault(front.line((*path, name)), f"{what}; did you mean {near}?" if near else what)


def _known(path: Path) -> list[str]:
    place = schema()
    for name in path:
        place = place["properties"][name]
    return list(place["properties"])


def _name(path: Path) -> str:
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name or "the front matter"
