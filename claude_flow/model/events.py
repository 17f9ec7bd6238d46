"""What happens in an attempt, as values: one event is one line of its ``events.jsonl``.

``schemas/agent-event.schema.json`` describes the same lines for other programs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Self, get_type_hints

from claude_flow.model.run import Usage, from_rfc3339, to_rfc3339

LONGEST_TEXT = 4_000
"""Characters of what an agent or a program says in one event."""
LONGEST_DETAIL = 1_000
"""Characters of any other text of an event."""

_LONG = frozenset({"text", "output"})


@dataclass(frozen=True, slots=True)
class Started:
    """A part of an attempt was started."""


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The agent says that its session has begun."""

    model: str | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """The agent speaks."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The agent calls a tool; ``input`` is the telling part of what it hands over."""

    name: str
    input: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered."""

    output: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class PermissionDenied:
    """The agent was not allowed to use a tool."""

    name: str | None


@dataclass(frozen=True, slots=True)
class HostRefused:
    """The agent asked for a host that its list of hosts does not allow."""

    host: str
    port: int
    why: str


@dataclass(frozen=True, slots=True)
class Retry:
    """The model's API is asked again: its HTTP status, None where there was no answer."""

    status: int | None = None
    delay_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class UsageTold:
    """What the agent has used since it was started, as it says itself."""

    turns: int | None = None
    tokens: int | None = None
    cost_usd: float | None = None
    model: str | None = None

    @classmethod
    def of(cls, usage: Usage) -> Self:
        """The same numbers."""
        return cls(usage.turns, usage.tokens, usage.cost_usd, usage.model)


@dataclass(frozen=True, slots=True)
class Output:
    """A line of plain text, from an agent that does not tell events, a hook or a check."""

    text: str


@dataclass(frozen=True, slots=True)
class Truncated:
    """The attempt's events are over their limit: from here on only starts and results are kept."""

    limit_bytes: int


@dataclass(frozen=True, slots=True)
class Result:
    """How a part of an attempt ended.

    ``reason`` and ``detail`` say why it is not ``ok``, ``text`` is the agent's closing word.
    ``exit_code`` is None where the part was cut short, ``stopped`` says who ended it.
    """

    ok: bool
    reason: str | None = None
    detail: str | None = None
    text: str | None = None
    exit_code: int | None = None
    stopped: str | None = None
    turns: int | None = None
    tokens: int | None = None
    cost_usd: float | None = None
    model: str | None = None


Happening = (
    Started
    | SessionStarted
    | Text
    | ToolUse
    | ToolResult
    | PermissionDenied
    | HostRefused
    | Retry
    | UsageTold
    | Output
    | Truncated
    | Result
)

KINDS: Mapping[str, type[Happening]] = {
    "started": Started,
    "session": SessionStarted,
    "text": Text,
    "tool_use": ToolUse,
    "tool_result": ToolResult,
    "permission_denied": PermissionDenied,
    "host_refused": HostRefused,
    "retry": Retry,
    "usage": UsageTold,
    "output": Output,
    "truncated": Truncated,
    "result": Result,
}
"""The kinds of events by their names in JSON."""
_NAMES = {happening: name for name, happening in KINDS.items()}
_HINTS = {happening: get_type_hints(happening) for happening in KINDS.values()}
_ENVELOPE = ("kind", "at", "attempt", "part")


@dataclass(frozen=True, slots=True)
class AgentEvent:
    """Something that happened in a part of an attempt, and when the service heard of it."""

    at: datetime
    attempt: int
    part: str
    what: Happening

    @property
    def kind(self) -> str:
        """The name of what happened."""
        return _NAMES[type(self.what)]

    def to_json(self) -> dict[str, Any]:
        """As the schema describes it."""
        return {
            "kind": self.kind,
            "at": to_rfc3339(self.at),
            "attempt": self.attempt,
            "part": self.part,
            **asdict(self.what),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The event that ``to_json`` told. Raises ValueError for anything else."""
        match data:
            case {"kind": str(kind), "at": str(at), "attempt": int(attempt), "part": str(part)}:
                happening = KINDS.get(kind)
                moment = from_rfc3339(at)
            case _:
                raise ValueError("it is no event")
        if happening is None or moment is None:
            raise ValueError(f"{kind!r} is no kind of event")
        given = {name: value for name, value in data.items() if name not in _ENVELOPE}
        return cls(moment, attempt, part, _read(happening, given))

    def to_line(self) -> bytes:
        """One line of a file of events, its end included."""
        text = json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":"))
        # A lone surrogate, which JSON can name, is no text that a file could hold.
        return text.encode("utf-8", errors="replace") + b"\n"

    @classmethod
    def from_line(cls, line: bytes | str) -> Self:
        """The event of a line. Raises ValueError if it holds none."""
        try:
            data = json.loads(line)
        except RecursionError:
            raise ValueError("it is nested too deep") from None
        if not isinstance(data, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004 - of the same kind to callers
        return cls.from_json(data)


def for_keeping(happening: Happening, redact: Callable[[str], str]) -> Happening:
    """The same without secrets, its texts cut to what is kept of them."""
    texts = {
        field.name: _shortened(
            redact(value), LONGEST_TEXT if field.name in _LONG else LONGEST_DETAIL
        )
        for field in fields(happening)
        if isinstance(value := getattr(happening, field.name), str)
    }
    return replace(happening, **texts)  # type: ignore[arg-type]  # they are its own fields


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _read(happening: type[Happening], given: Mapping[str, Any]) -> Happening:
    hints = _HINTS[happening]
    for name, value in given.items():
        hint = hints.get(name)
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if hint is None or not (
            isinstance(value, hint) or (is_whole and hint in {float, float | None})
        ):
            raise ValueError(f"{name} is {value!r}"[:LONGEST_DETAIL])
    try:
        return happening(**given)
    except TypeError as error:
        raise ValueError(str(error)) from None
