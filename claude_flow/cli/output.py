"""How commands print: for people on a terminal, plain and whole into a pipe, or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from claude_flow.errors import ClaudeFlowError
from claude_flow.journal import redactor

PROGRAM = "claude-flowctl"

# What a terminal would obey instead of showing: an agent's output and an issue's title are
# strangers' texts.
_OBEYED = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def clean(text: str) -> str:
    """The text without secrets and without characters that steer a terminal."""
    return redactor.redact(text).translate(_OBEYED)


def say(text: str) -> None:
    """Print one text and a line break on standard output, at once."""
    sys.stdout.write(clean(text) + "\n")
    sys.stdout.flush()


def say_verdict(before: str, verdict: str, colour: str, after: str = "") -> None:
    """Print a line with a verdict in it, which is coloured on a terminal."""
    if not sys.stdout.isatty():
        say(f"{before}{verdict}{after}")
        return
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second, for terminals only
    from rich.text import Text  # noqa: PLC0415 - likewise

    Console().print(Text.assemble(clean(before), (clean(verdict), f"bold {colour}"), clean(after)))


def say_json(value: Any) -> None:
    """Print JSON."""
    sys.stdout.write(redactor.redact(json.dumps(value, indent=2, ensure_ascii=False)) + "\n")


def say_fields(fields: Sequence[tuple[str, object]]) -> None:
    """Print names and values below each other, without those that are None."""
    shown = [(name, value) for name, value in fields if value is not None]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        say(f"{name + ':':<{width + 1}} {value}")


def say_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; in a pipe nothing is wrapped, cut or coloured."""
    texts = [["-" if cell is None else _on_one_line(str(cell)) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _say_rich_table(columns, texts)
        return
    lines = [list(columns), *texts]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        say("  ".join(cells).rstrip())


def say_error(error: ClaudeFlowError) -> None:
    """Print an error and what to do about it on standard error."""
    lines = [f"{PROGRAM}: {error.message}"]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    sys.stderr.write("".join(clean(line) + "\n" for line in lines))


def _on_one_line(text: str) -> str:
    return " ".join(clean(text).split())


def _say_rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second, for terminals only
    from rich.table import Table  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    Console().print(table)
