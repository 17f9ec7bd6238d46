"""Any program as the agent: the contract's "agent's side of ``command``"."""

from __future__ import annotations

from claude_flow.agents.judgement import JudgedOutput, Rules
from claude_flow.agents.settings import Redact
from claude_flow.agents.surroundings import Scratch, Surroundings
from claude_flow.ports import AgentCommand, AgentTask

_INSTALL = "install it there, or name another program in claude_flow.command"


class CommandAgent:
    """Implements ``ports.Agent`` for an argv of the operator's.

    Exit 0 is success; where it speaks stream-json its result must be one as well.
    """

    def __init__(self, argv: tuple[str, ...], surroundings: Surroundings, redact: Redact) -> None:
        self._argv = argv
        self._surroundings = surroundings
        self._redact = redact

    def check(self) -> None:
        """Raise AgentUnavailableError unless the program is there and executable."""
        self._surroundings.find(self._argv[0], install=_INSTALL)

    def command(self, task: AgentTask) -> AgentCommand:
        """The argv as it is, with the prompt on standard input."""
        scratch = Scratch(task.scratch)
        return AgentCommand(
            argv=self._argv,
            environment=self._surroundings.environment(task),
            stdin=task.prompt,
            files={},
            directories=(scratch.home, scratch.temporary),
            hosts=self._surroundings.model_host(),
        )

    def output(self) -> JudgedOutput:
        """A reader of one attempt's output."""
        rules = Rules("the command", trusts_exit_code=True, needs_result=False)
        return JudgedOutput(rules, self._redact)
