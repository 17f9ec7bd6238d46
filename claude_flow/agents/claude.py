"""Claude Code alone: ``claude -p`` with the prompt on standard input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from claude_flow.agents.judgement import JudgedOutput, Rules
from claude_flow.agents.settings import AgentSettings, Redact
from claude_flow.agents.surroundings import Scratch, Surroundings
from claude_flow.agents.transcripts import find_transcript
from claude_flow.ports import AgentCommand, AgentTask, Excerpt

INSTALL_CLAUDE = (
    "install Claude Code (its npm package for this machine is enough) so that `claude` is in "
    "claude_flow.install_prefix/bin or on the service's PATH"
)
MODEL_ADDRESS = "https://api.anthropic.com"
"""Where Claude Code finds its model unless it is told otherwise."""
# Few and short: an attempt's own retries are better than minutes of silence in one.
_ENVIRONMENT = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    "CLAUDE_CODE_MAX_RETRIES": "4",
    "API_TIMEOUT_MS": "120000",
    "DISABLE_AUTOUPDATER": "1",
}


class ClaudeAgent:
    """Implements ``ports.Agent`` for Claude Code."""

    def __init__(self, settings: AgentSettings, surroundings: Surroundings, redact: Redact) -> None:
        self._settings = settings
        self._surroundings = surroundings
        self._redact = redact

    def check(self) -> None:
        """Raise AgentUnavailableError unless ``claude`` is there and executable."""
        self._surroundings.find(self._program, install=INSTALL_CLAUDE)

    @property
    def _program(self) -> str:
        return self._settings.command[0] if self._settings.command else "claude"

    def command(self, task: AgentTask) -> AgentCommand:
        """The call that runs unattended and reads no settings of the repository."""
        scratch = Scratch(task.scratch)
        resumption = resume(task, self._settings)
        argv = self._settings.command or (
            "claude",
            "-p",
            *("--output-format", "stream-json", "--verbose"),
            *("--permission-mode", "acceptEdits"),
            *bounds(self._settings),
            *resumption.options,
        )
        return AgentCommand(
            argv=argv,
            environment={**self._surroundings.environment(task), **claude_environment(scratch)},
            stdin=resumption.prompt,
            files={scratch.claude / "settings.json": claude_settings(self._settings)},
            directories=(scratch.home, scratch.temporary),
            copies=resumption.copies,
            hosts=self._surroundings.model_host(MODEL_ADDRESS),
        )

    def output(self) -> JudgedOutput:
        """A reader of one attempt's output."""
        rules = Rules("claude", trusts_exit_code=True, needs_result=True)
        return JudgedOutput(rules, self._redact)


@dataclass(frozen=True, slots=True)
class Resumption:
    """How Claude Code begins: what it is told, and what goes on if it is not new."""

    prompt: str
    options: tuple[str, ...] = ()
    copies: Mapping[Path, Excerpt] = field(default_factory=dict)


def resume(task: AgentTask, settings: AgentSettings) -> Resumption:
    """Go on with the task's session where that can be, else begin a new one.

    A command of the operator's own is not asked to: nobody knows what it does with it.
    """
    session = task.resume
    transcript = None if session is None or settings.command else find_transcript(session)
    if session is None or transcript is None:
        return Resumption(task.prompt)
    return Resumption(
        session.prompt,
        ("--resume", session.id),
        {Scratch(task.scratch).claude / transcript.path: transcript},
    )


def bounds(settings: AgentSettings) -> tuple[str, ...]:
    """Options that hold wherever Claude Code runs for us.

    The repository's own hooks and MCP servers would run without asking; only the attempt's
    own settings count.
    """
    options = ["--setting-sources", "user", "--strict-mcp-config"]
    if settings.max_turns is not None:
        options += ["--max-turns", str(settings.max_turns)]
    if settings.budget_usd is not None:
        options += ["--max-budget-usd", f"{settings.budget_usd:.10f}".rstrip("0").rstrip(".")]
    return tuple(options)


def claude_environment(scratch: Scratch) -> Mapping[str, str]:
    """The variables that Claude Code itself needs to run quietly and apart."""
    return {**_ENVIRONMENT, "CLAUDE_CONFIG_DIR": str(scratch.claude)}


def claude_settings(settings: AgentSettings) -> str:
    """The text of ``settings.json`` in CLAUDE_CONFIG_DIR."""
    permissions = {"defaultMode": "acceptEdits", "allow": list(settings.allowed_tools)}
    # No "Co-authored-by" of the tool's own in commits: the pull request says who made it.
    return json.dumps({"permissions": permissions, "includeCoAuthoredBy": False}, indent=1)
