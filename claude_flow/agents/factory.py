"""Makes the agent that the settings name."""

from __future__ import annotations

from collections.abc import Mapping

from claude_flow.agents.claude import ClaudeAgent
from claude_flow.agents.claude_flow import ClaudeFlowAgent
from claude_flow.agents.command import CommandAgent
from claude_flow.agents.settings import AgentSettings, Redact
from claude_flow.agents.surroundings import Surroundings
from claude_flow.errors import UsageError
from claude_flow.ports import Agent


def make_agent(
    settings: AgentSettings, host_environment: Mapping[str, str], redact: Redact
) -> Agent:
    """The agent of ``settings.kind``; it sees of the host what the allow-list names.

    ``redact`` masks what may not stand in its summary and in the details of its failures.

    Raises UsageError for an unknown kind, or for ``command`` without a command.
    """
    surroundings = Surroundings(settings, host_environment)
    match settings.kind:
        case "claude":
            return ClaudeAgent(settings, surroundings, redact)
        case "claude-flow":
            return ClaudeFlowAgent(settings, surroundings, redact)
        case "command" if settings.command:
            return CommandAgent(settings.command, surroundings, redact)
        case "command":
            raise UsageError(
                "claude_flow.agent is command, but claude_flow.command names none",
                hint="set claude_flow.command to the program and its arguments",
            )
        case _:
            raise UsageError(
                f"{settings.kind!r} is no kind of agent",
                hint="claude_flow.agent is one of claude-flow, claude, command",
            )
