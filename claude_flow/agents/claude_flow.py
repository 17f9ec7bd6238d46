"""claude-flow: a swarm around Claude Code, in the two lines of its releases."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from claude_flow.agents.claude import (
    INSTALL_CLAUDE,
    MODEL_ADDRESS,
    bounds,
    claude_environment,
    claude_settings,
    resume,
)
from claude_flow.agents.judgement import JudgedOutput, Rules
from claude_flow.agents.settings import AgentSettings, Redact
from claude_flow.agents.surroundings import Scratch, Surroundings, droppings
from claude_flow.errors import AgentUnavailableError
from claude_flow.ports import AgentCommand, AgentTask

_INSTALL = (
    "install it with `npm install --prefix PREFIX --omit=optional --ignore-scripts claude-flow` "
    "and link it into PREFIX/bin, where PREFIX is claude_flow.install_prefix"
)
_PACKAGES = {"claude-flow", "ruflo"}
_V2, _V3 = 2, 3
# One argument of a program has at most 128 KiB, and claude-flow adds its own words to it.
_LONGEST_OBJECTIVE_BYTES = 96_000
# It would otherwise replace itself by a newer release while it works.
_ENVIRONMENT = {"CLAUDE_FLOW_AUTO_UPDATE": "false"}

# Scripts of /bin/sh; $objective is read from a file, so nothing in it needs quoting.
_SCRIPTS = {
    _V2: 'exec {program} swarm "$objective" --non-interactive --no-auto-permissions\n',
    _V3: (
        "{program} hive-mind init || exit\n"
        'exec {program} hive-mind spawn --claude -o "$objective" '
        "--non-interactive --no-auto-permissions\n"
    ),
}

# claude-flow hands the repository's own .mcp.json on, whose servers would run unasked.
_SHIM = """\
#!/bin/sh
for argument; do
  shift
  case $argument in
    --mcp-config=*) ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec {claude} "$@"
"""


class ClaudeFlowAgent:
    """Implements ``ports.Agent`` for the claude-flow CLI.

    Its exit code tells nothing (v2 always leaves with 0), so only Claude Code's stream, which
    it passes through, is judged.
    """

    def __init__(self, settings: AgentSettings, surroundings: Surroundings, redact: Redact) -> None:
        self._settings = settings
        self._surroundings = surroundings
        self._redact = redact

    def check(self) -> None:
        """Raise AgentUnavailableError unless claude-flow, its node and claude are there."""
        if self._settings.command:
            self._surroundings.find(self._settings.command[0], install=_INSTALL)
        else:
            self._line(self._claude_flow())
        self._surroundings.find(
            "node", install="install Node.js 20 or newer (Debian's package is nodejs)"
        )
        self._claude()

    def command(self, task: AgentTask) -> AgentCommand:
        """The call of the installed line, or the operator's own. Raises AgentUnavailableError."""
        scratch = Scratch(task.scratch)
        resumption = resume(task, self._settings)
        prompt = resumption.prompt
        shim = scratch.programs / "claude"
        task_file = scratch.root / "task" / "task.md"
        files = {
            shim: self._shim(task_file.parent, resumption.options),
            task_file: prompt,
            scratch.claude / "settings.json": claude_settings(self._settings),
        }
        argv = self._settings.command
        if argv is None:
            script = scratch.programs / "run-claude-flow"
            objective = scratch.root / "objective"
            files[script] = self._script(objective)
            files[objective] = _objective(prompt, task_file)
            argv = ("/bin/sh", str(script))
        environment = {
            **self._surroundings.environment(task),
            **claude_environment(scratch),
            **_ENVIRONMENT,
            "PATH": f"{scratch.programs}:{self._surroundings.path}",
        }
        return AgentCommand(
            argv=argv,
            environment=environment,
            stdin=prompt if self._settings.command else "",
            files=files,
            ignored=droppings("claude-flow"),
            executable=frozenset({shim}),
            directories=(scratch.home, scratch.temporary),
            copies=resumption.copies,
            hosts=self._surroundings.model_host(MODEL_ADDRESS),
        )

    def output(self) -> JudgedOutput:
        """A reader of one attempt's output."""
        rules = Rules("claude-flow", trusts_exit_code=False, needs_result=True)
        return JudgedOutput(rules, self._redact)

    def _claude_flow(self) -> Path:
        return self._surroundings.find("claude-flow", install=_INSTALL)

    def _claude(self) -> Path:
        return self._surroundings.find("claude", install=INSTALL_CLAUDE)

    def _script(self, objective: Path) -> str:
        program = self._claude_flow()
        call = _SCRIPTS[self._line(program)].format(program=shlex.quote(str(program)))
        return f"objective=$(cat {shlex.quote(str(objective))}) || exit\n{call}"

    def _shim(self, task_directory: Path, resume_options: tuple[str, ...]) -> str:
        """``claude`` with our bounds, since claude-flow has no options to pass them on."""
        # --add-dir takes several values: it must not stand last, before the prompt.
        options = ("--add-dir", str(task_directory), *bounds(self._settings), *resume_options)
        return _SHIM.format(claude=shlex.join((str(self._claude()), *options)))

    def _line(self, program: Path) -> int:
        """The major version of the installed claude-flow. Raises AgentUnavailableError."""
        version = _installed_version(program) or self._settings.version or ""
        line = version.partition(".")[0]
        if line not in {str(known) for known in _SCRIPTS}:
            raise AgentUnavailableError(
                f"{program} is claude-flow {version or 'of an unknown version'}; this service "
                "can call versions 2 and 3",
                hint=_INSTALL,
            )
        return int(line)


def _objective(prompt: str, task_file: Path) -> str:
    """The prompt as one argument: never one that looks like an option, never too long."""
    if len(prompt.encode(errors="replace")) <= _LONGEST_OBJECTIVE_BYTES:
        return f"Task: {prompt}"
    return (
        f"Task: it is too long to stand here. Read all of the file {task_file} first, then do "
        "what it asks for, in the current directory."
    )


def _installed_version(program: Path) -> str | None:
    """The version in the package.json that the program's file belongs to."""
    for directory in program.resolve().parents:
        try:
            package = json.loads((directory / "package.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(package, dict) and package.get("name") in _PACKAGES:
            version = package.get("version")
            return version if isinstance(version, str) else None
    return None
