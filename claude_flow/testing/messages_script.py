"""What the scripted model says, turn by turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from claude_flow.testing.plan import Edit, Write, edits_in


@dataclass(frozen=True, slots=True)
class Say:
    """A text block."""

    text: str


@dataclass(frozen=True, slots=True)
class Use:
    """A tool call; ``{cwd}`` in its texts becomes the agent's working directory."""

    tool: str
    input: Mapping[str, Any]


Turn = Sequence[Say | Use]


@dataclass(frozen=True, slots=True)
class Script:
    """The model's turns in a conversation whose first prompt contains ``match``.

    After the last turn it says ``Done.``
    """

    turns: Sequence[Turn]
    match: str = ""


def write_file(path: str, text: str) -> Use:
    """A call of Write; ``path`` is relative to the agent's working directory."""
    return Use("Write", {"file_path": f"{{cwd}}/{path}", "content": text})


def bash(command: str) -> Use:
    """A call of Bash."""
    return Use("Bash", {"command": command, "description": "Run a command"})


def script_for_prompt(prompt: str) -> Script:
    """A script that makes the edits that the prompt's text asks for (see ``plan``)."""
    edits = edits_in(prompt)
    if not edits:
        return Script([[Say("The issue asks for no edit that I understand.")]])
    first, *others = (turn for edit in edits for turn in _turns(edit))
    turns: list[Turn] = [[Say("I will do what the issue asks for."), *first], *others]
    names = ", ".join(dict.fromkeys(edit.path for edit in edits))
    return Script([*turns, [Say(f"Changed {names} as the issue asks.")]])


def _turns(edit: Edit) -> list[Turn]:
    if isinstance(edit, Write):
        return [[write_file(edit.path, edit.text)]]
    path = f"{{cwd}}/{edit.path}"
    call = {"file_path": path, "old_string": edit.old, "new_string": edit.new}
    # Claude Code edits only files that it has read.
    return [[Use("Read", {"file_path": path})], [Use("Edit", call)]]
