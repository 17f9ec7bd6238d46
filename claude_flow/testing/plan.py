"""The edits an issue asks for in so many words: what the scripted agents understand.

Three phrases, each at the beginning of a line and each path in backquotes::

    Write `greeter/names.py`:         and a fenced block: the file holds this text
    In `greeter/names.py` after `import re` add:   and a fenced block: below that text
    In `greeter/names.py` replace `old` with `new`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_BLOCK = r"[ \t]*\n+```[^\n]*\n(?P<block>.*?)\n?```[ \t]*(?:\n|$)"
_PHRASES = (
    re.compile(r"^Write `(?P<path>[^`\n]+)`:" + _BLOCK, re.MULTILINE | re.DOTALL),
    re.compile(
        r"^In `(?P<path>[^`\n]+)` after `(?P<old>[^`\n]+)` add:" + _BLOCK,
        re.MULTILINE | re.DOTALL,
    ),
    re.compile(
        r"^In `(?P<path>[^`\n]+)` replace `(?P<old>[^`\n]+)` with `(?P<new>[^`\n]*)`\.?[ \t]*$",
        re.MULTILINE,
    ),
)


class PlanError(Exception):
    """An edit that cannot be made in this directory."""


@dataclass(frozen=True, slots=True)
class Write:
    """Make ``path`` hold ``text``."""

    path: str
    text: str

    def apply(self, directory: Path) -> None:
        """Do it below ``directory``."""
        file = _inside(directory, self.path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.text)


@dataclass(frozen=True, slots=True)
class Replace:
    """Put ``new`` where ``old`` stands first in ``path``."""

    path: str
    old: str
    new: str

    def apply(self, directory: Path) -> None:
        """Do it below ``directory``. Raises PlanError if the text is not there."""
        file = _inside(directory, self.path)
        text = file.read_text() if file.is_file() else ""
        if self.old not in text:
            raise PlanError(f"{self.path} does not hold {self.old!r}")
        file.write_text(text.replace(self.old, self.new, 1))


Edit = Write | Replace


def edits_in(text: str) -> list[Edit]:
    """The edits that ``text`` asks for, in its order; empty if it asks for none.

    What is said twice is meant once: claude-flow repeats the objective in its own prompt.
    """
    text = text.replace("\r\n", "\n")
    found = [match for phrase in _PHRASES for match in phrase.finditer(text)]
    found.sort(key=lambda match: match.start())
    return list(dict.fromkeys(_edit(match) for match in found))


def _edit(match: re.Match[str]) -> Edit:
    parts = match.groupdict()
    path = parts["path"]
    if "old" not in parts:
        return Write(path, parts["block"] + "\n")
    new = parts["new"] if "new" in parts else f"{parts['old']}\n{parts['block']}"
    return Replace(path, parts["old"], new)


def _inside(directory: Path, path: str) -> Path:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or ".git" in parts.parts:
        raise PlanError(f"{path} is not a path inside the workspace")
    return directory / parts
