"""Install the agents' command line programs from npm into a prefix of their own.

    python tools/install_agents.py PREFIX [--claude-flow VERSION] [--claude VERSION|none]

Afterwards PREFIX/bin holds ``claude-flow`` and ``claude``, and ``node`` where the host's own is
too old for claude-flow (Debian 12 has 18). Done again with the same versions it does nothing.
Some Node.js and npm must be there; npm's own configuration says where it gets packages from.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from claude_flow.agents.versions import CLAUDE_CODE_VERSION, CLAUDE_FLOW_VERSION
from claude_flow.errors import AgentUnavailableError, ClaudeFlowError
from claude_flow.execution.processes import ProcessRunner

_NPM_SECONDS = 900
_NODE_SECONDS = 30
_NODE_WANTED = 20  # the least that claude-flow 3 runs on
_NODE_VERSION = "20.20.0"
_ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Package:
    """One npm package and the program that it brings, relative to ``node_modules``, if any."""

    name: str
    version: str
    program: str = ""
    link: str = ""


# Optional to its package, but version 2 does not start without; its native part is not used.
_NEEDED_BY_2 = Package("better-sqlite3", "12.11.1")


def main() -> None:
    """Install, or say in one line what is missing."""
    parser = argparse.ArgumentParser(description="Install claude-flow and Claude Code.")
    parser.add_argument("prefix", type=Path)
    parser.add_argument("--claude-flow", default=CLAUDE_FLOW_VERSION, metavar="VERSION")
    parser.add_argument(
        "--claude", default=CLAUDE_CODE_VERSION, metavar="VERSION", help="none: leave it out"
    )
    arguments = parser.parse_args()
    claude = f"@anthropic-ai/claude-code-linux-{_architecture()}"
    node = f"node-linux-{_architecture()}"
    packages = [Package("claude-flow", arguments.claude_flow, ".bin/claude-flow", "claude-flow")]
    if arguments.claude_flow.startswith("2."):
        packages.append(_NEEDED_BY_2)
    if arguments.claude != "none":
        packages.append(Package(claude, arguments.claude, f"{claude}/claude", "claude"))
    try:
        if not asyncio.run(_has_fitting_node()):
            packages.append(Package(node, _NODE_VERSION, f"{node}/bin/node", "node"))
        install(arguments.prefix.resolve(), packages)
    except ClaudeFlowError as error:
        sys.exit(f"install_agents: {error}")


def install(prefix: Path, packages: list[Package]) -> None:
    """Install what is not there yet, one caller at a time. Raises ClaudeFlowError."""
    prefix.mkdir(parents=True, exist_ok=True)
    with (prefix / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = [package for package in packages if _installed(prefix, package) != package.version]
        if wanted:
            asyncio.run(_npm_install(prefix, wanted))
        programs = [package for package in packages if package.link]
        for package in programs:
            _link(prefix, package)
    for package in programs:
        print(f"{package.link} {package.version}: {prefix / 'bin' / package.link}")


async def _npm_install(prefix: Path, packages: list[Package]) -> None:
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        raise AgentUnavailableError(
            f"{' and '.join(missing)} not found on the PATH",
            hint="install Node.js 20 or newer with npm (Debian's packages are nodejs and npm)",
        )
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--omit=optional"]
    names = [f"{package.name}@{package.version}" for package in packages]
    print(f"npm installs {' '.join(names)} into {prefix} …", flush=True)
    completed = await ProcessRunner().run(
        ["npm", "install", "--prefix", str(prefix), *options, *names],
        cwd=prefix,
        env=os.environ,
        timeout_seconds=_NPM_SECONDS,
    )
    if completed.exit_code != 0:
        said = completed.stderr.decode(errors="replace").strip()
        raise AgentUnavailableError(f"npm left with exit code {completed.exit_code}:\n{said}")


def _installed(prefix: Path, package: Package) -> str | None:
    try:
        text = (prefix / "node_modules" / package.name / "package.json").read_text("utf-8")
    except FileNotFoundError:
        return None
    version = json.loads(text).get("version")
    return version if isinstance(version, str) else None


def _link(prefix: Path, package: Package) -> None:
    link = prefix / "bin" / package.link
    link.parent.mkdir(exist_ok=True)
    target = Path("..") / "node_modules" / package.program
    if link.is_symlink() and link.readlink() == target:
        return  # somebody may be using it
    link.unlink(missing_ok=True)
    link.symlink_to(target)


async def _has_fitting_node() -> bool:
    if shutil.which("node") is None:
        return False
    completed = await ProcessRunner().run(
        ["node", "--version"], cwd=Path.cwd(), env=os.environ, timeout_seconds=_NODE_SECONDS
    )
    major = completed.stdout.decode(errors="replace").strip().lstrip("v").partition(".")[0]
    return major.isdecimal() and int(major) >= _NODE_WANTED


def _architecture() -> str:
    machine = platform.machine()
    architecture = _ARCHITECTURES.get(machine)
    if architecture is None:
        sys.exit(f"install_agents: there is no Claude Code for {machine}")
    return architecture


if __name__ == "__main__":
    main()
