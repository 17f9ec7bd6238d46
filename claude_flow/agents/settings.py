"""What the operator decides about agents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Redact = Callable[[str], str]
"""Masks secrets in a text that leaves the agents' room."""

# What an unattended coding agent needs to look, build, test and commit. Whoever can run a
# project's tests can run any code, so this is no sandbox: it keeps the agent from reaching for
# the network or the host by itself (curl, ssh, sudo, apt).
_PROGRAMS = (
    *("git", "ls", "cat", "head", "tail", "wc", "grep", "rg", "find", "sed", "awk", "sort"),
    *("diff", "tree", "file", "pwd", "echo", "test", "mkdir", "touch", "cp", "mv", "rm", "chmod"),
    *("make", "cmake", "ninja", "gcc", "g++", "clang", "cargo", "rustfmt", "go", "gofmt"),
    *("python", "python3", "pip", "uv", "pytest", "tox", "nox", "ruff", "black", "mypy"),
    *("node", "npm", "npx", "pnpm", "yarn", "tsc", "jest", "vitest", "eslint", "prettier"),
    *("java", "javac", "mvn", "gradle", "./gradlew", "dotnet", "ruby", "bundle", "rake", "php"),
    *("composer", "phpunit", "swift", "mix", "terraform", "ansible-lint", "shellcheck"),
)
DEFAULT_ALLOWED_TOOLS = tuple(f"Bash({program}:*)" for program in _PROGRAMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """Which agent works and within which bounds; the keys of ``claude_flow.*``.

    ``command`` is the agent itself for the kind ``command``; for the others it replaces the
    built-in call (the prompt then comes on standard input). ``version`` says which line of
    claude-flow is installed where its own package does not. ``environment_allowlist`` names
    the variables of the host that reach the agent.
    """

    kind: str
    command: tuple[str, ...] | None = None
    install_prefix: Path = Path("/opt/claude-flow/node")
    version: str | None = None
    max_turns: int | None = None
    budget_usd: float | None = None
    environment_allowlist: tuple[str, ...] = ()
    allowed_tools: tuple[str, ...] = DEFAULT_ALLOWED_TOOLS
