"""What is wrong with a configuration, and where each value came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from claude_flow.errors import EXIT_CONFIGURATION, ClaudeFlowError


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from.

    ``layer`` is ``default``, ``file``, ``conf.d``, ``credential``, ``environment``, ``override``
    or ``secret file``; ``source`` the file's path or the variable's name, None for defaults and
    overrides. ``line`` and ``column`` count from 1, None where there are none.
    """

    layer: str
    source: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        if self.source is None:
            return self.layer
        numbers = (str(number) for number in (self.line, self.column) if number is not None)
        return ":".join((self.source, *numbers))

    def to_json(self) -> dict[str, Any]:
        """The origin as JSON."""
        return {
            "layer": self.layer,
            "source": self.source,
            "line": self.line,
            "column": self.column,
        }


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a configuration, in texts that hold no secret.

    ``message`` says what is wrong with the value, ``expected`` what would be right,
    ``suggestion`` is the nearest valid name, ``excerpt`` the faulty line over a caret.
    ``key`` is None where the fault is no setting's: a malformed file.
    """

    message: str
    key: str | None = None
    origin: Origin | None = None
    value: str | None = None
    expected: str | None = None
    suggestion: str | None = None
    excerpt: str | None = None

    def __str__(self) -> str:
        place = None if self.origin is None or self.origin.layer == "default" else self.origin
        text = ": ".join(str(part) for part in (place, self.key, self.message) if part)
        if self.expected:
            text += f"; expected {self.expected}"
        if self.suggestion:
            text += f"; did you mean {self.suggestion}?"
        if self.excerpt:
            text += "\n" + self.excerpt
        return text

    def to_json(self) -> dict[str, Any]:
        """The fault as JSON."""
        return {
            "key": self.key,
            "message": self.message,
            "origin": self.origin.to_json() if self.origin else None,
            "value": self.value,
            "expected": self.expected,
            "suggestion": self.suggestion,
        }


class ConfigError(ClaudeFlowError):
    """The configuration is refused; ``problems`` holds every fault."""

    exit_code: ClassVar[int] = EXIT_CONFIGURATION

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        count = f"{len(self.problems)} fault" + ("s" if len(self.problems) != 1 else "")
        lines = (str(problem).replace("\n", "\n    ") for problem in self.problems)
        text = f"the configuration is invalid ({count}):" + "".join(f"\n  {line}" for line in lines)
        super().__init__(text, hint=hint)


class ConfigFileError(ClaudeFlowError):
    """A file of the configuration could not be written, and is as it was, or not be read."""
