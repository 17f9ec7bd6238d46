"""What the operator decides about agents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Redact = Callable[[str], str]
"""Masks secrets in a text that leaves the agents' room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """Which agent works and within which bounds; the keys of ``claude_flow.*``.

    ``command`` is the agent itself for the kind ``command``; for the others it replaces the
    built-in call (the prompt then comes on standard input). ``version`` says which line of
    claude-flow is installed where its own package does not. ``environment_allowlist`` names
    the variables of the host that reach the agent, ``allowed_tools`` what Claude Code may use
    without asking, as rules of its own.
    """

    kind: str
    command: tuple[str, ...] | None = None
    install_prefix: Path = Path("/opt/claude-flow/node")
    version: str | None = None
    max_turns: int | None = None
    budget_usd: float | None = None
    environment_allowlist: tuple[str, ...] = ()
    allowed_tools: tuple[str, ...] = ()
