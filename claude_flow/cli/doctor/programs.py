"""The programs that the work is done with: git, the agent and its Node.js, the sandbox."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from claude_flow.bootstrap import agent_of, sandbox_of
from claude_flow.cli.doctor.finding import Finding, Grade
from claude_flow.config import ConfigManager
from claude_flow.errors import ProcessError
from claude_flow.execution.processes import ProcessRunner
from claude_flow.execution.sandbox import (
    SandboxMode,
    SandboxSettings,
    Trial,
    require_sense,
    try_out,
)

_RUN_SECONDS = 20.0
_OLDEST_GIT = (2, 36)  # safe.directory and protected configuration
_OLDEST_NODE = (20,)
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Said:
    """How a program answered: its exit code and its first line."""

    program: str
    exit_code: int
    line: str


def check_git(config: ConfigManager, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Git is there, answers, and is new enough; so is Git LFS if it is wanted."""
    yield judge_git(_ask(["git", "--version"], environ))
    if config.get("workspace.lfs"):
        yield judge_git_lfs(_ask(["git-lfs", "--version"], environ))


def check_agent(config: ConfigManager, environ: Mapping[str, str]) -> Iterator[Finding]:
    """The agent can be started, and is the release that was asked for."""
    agent_of(config, environ).check()
    kind = config.get("claude_flow.agent")
    yield Finding("agent", Grade.FINE, f"{kind} can be started")
    if kind == "command" or config.get("claude_flow.command") is not None:
        return
    path = f"{config.get('claude_flow.install_prefix')}/bin:{environ.get('PATH', _SYSTEM_PATH)}"
    around = {**environ, "PATH": path}
    if kind == "claude-flow":
        yield judge_node(_ask(["node", "--version"], around))
        said = _ask(["claude-flow", "--version"], around)
        yield judge_version("claude-flow", said, config.get("claude_flow.version"))
    yield judge_version("claude", _ask(["claude", "--version"], around), None)


def check_sandbox(config: ConfigManager, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What keeps an attempt from the daemon's files and processes."""
    sandbox = sandbox_of(config, environ)
    if not sandbox.settings.is_local:
        sandbox.check()
        return  # the unit is its sandbox, see the finding "attempts"
    if sandbox.settings.mode is SandboxMode.OFF:
        sandbox.check()
        yield Finding(
            "sandbox",
            Grade.WARN,
            "execution.sandbox is off, so an attempt sees what the service's user sees",
            "set execution.sandbox to auto, or execution.backend to systemd",
        )
        return
    require_sense(sandbox.settings)
    yield judge_trial(try_out(sandbox.settings), sandbox.settings)


def judge_git(said: Said | None) -> Finding:
    """From the answer to ``git --version``."""
    if said is None:
        return Finding("git", Grade.FAIL, "git is not on PATH", "install the package git")
    version = version_in(said.line)
    if said.exit_code or version is None:
        text = f"{said.program} does not work: {said.line or f'exit code {said.exit_code}'}"
        return Finding("git", Grade.FAIL, text, "install the package git anew")
    if version < _OLDEST_GIT:
        oldest = ".".join(map(str, _OLDEST_GIT))
        text = f"{said.program} is {said.line}; {oldest} or newer is needed"
        return Finding("git", Grade.FAIL, text, "take git from a newer Debian, or its backports")
    return Finding("git", Grade.FINE, f"{said.program}, {said.line}")


def judge_git_lfs(said: Said | None) -> Finding:
    """From the answer to ``git-lfs --version``, where workspace.lfs is true."""
    hint = "install the package git-lfs, or set workspace.lfs to false"
    if said is None:
        return Finding("git", Grade.FAIL, "git-lfs is not on PATH, but workspace.lfs is true", hint)
    if said.exit_code or not said.line.startswith("git-lfs/"):
        text = f"{said.program} does not work: {said.line or f'exit code {said.exit_code}'}"
        return Finding("git", Grade.FAIL, text, hint)
    return Finding("git", Grade.FINE, f"{said.program}, {said.line}")


def judge_node(said: Said | None) -> Finding:
    """From the answer to ``node --version``."""
    hint = "run the playbook, which brings one along, or install Node.js 20 or newer"
    if said is None:
        return Finding("node", Grade.FAIL, "node is not on PATH", hint)
    version = version_in(said.line)
    if said.exit_code or version is None or version < _OLDEST_NODE:
        text = f"{said.program} is {said.line or 'broken'}; claude-flow needs 20 or newer"
        return Finding("node", Grade.FAIL, text, hint)
    return Finding("node", Grade.FINE, f"{said.program}, {said.line}")


def judge_version(name: str, said: Said | None, wanted: str | None) -> Finding:
    """From the answer to ``--version`` of an agent's program; ``wanted`` None is any."""
    if said is None:
        text = f"{name} is neither in claude_flow.install_prefix nor on PATH"
        return Finding("agent", Grade.FAIL, text, "run the playbook, which installs it")
    found = re.search(r"\d+(?:\.\d+)+\S*", said.line)
    if said.exit_code or found is None:
        text = f"{said.program} does not tell its version: {said.line or 'it says nothing'}"
        return Finding("agent", Grade.WARN, text, "install it anew: run the playbook")
    if wanted is not None and found[0].lstrip("v") != wanted:
        text = f"{said.program} is {found[0]}, but claude_flow.version says {wanted}"
        return Finding("agent", Grade.WARN, text, "run the playbook, or change claude_flow.version")
    return Finding("agent", Grade.FINE, f"{said.program}, {found[0]}")


def judge_trial(trial: Trial, settings: SandboxSettings) -> Finding:
    """From a try to make a sandbox; without one, attempts see what the service's user sees."""
    if trial.fault is None:
        text = f"{trial.bwrap} can make sandboxes for attempts"
        network = f"their network is {settings.network_text}"
        return Finding("sandbox", Grade.FINE, f"{text}; {network}")
    return Finding(
        "sandbox",
        Grade.FAIL if settings.is_needed else Grade.WARN,
        f"{trial.fault}, so an attempt would see what the service's user sees",
        f"{trial.hint}; or set execution.backend to systemd",
    )


def version_in(line: str) -> tuple[int, ...] | None:
    """The first version number in a line."""
    found = re.search(r"\d+(?:\.\d+)+", line)
    return tuple(int(part) for part in found[0].split(".")) if found else None


def _ask(argv: list[str], environ: Mapping[str, str]) -> Said | None:
    """Run a program that is on the PATH in ``environ``; None if it is not there."""
    program = shutil.which(argv[0], path=environ.get("PATH", _SYSTEM_PATH))
    if program is None:
        return None
    kept = {name: environ[name] for name in ("PATH", "HOME", "LANG") if name in environ}
    running = ProcessRunner().run(
        [program, *argv[1:]], cwd=Path("/"), env=kept, timeout_seconds=_RUN_SECONDS
    )
    try:
        done = asyncio.run(running)
    except ProcessError as error:
        return Said(program, 1, error.message)
    text = (done.stdout or done.stderr).decode(errors="replace").strip()
    return Said(program, done.exit_code, text.splitlines()[0] if text else "")
