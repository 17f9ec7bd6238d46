"""What an agent may try in its sandbox: every tool that it needs, every wall that should hold.

Run in an attempt with the name of a set and its arguments. Says for each try on a line of JSON
how it went: ``{"try": ..., "went": true, "said": ...}``.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

SECONDS = 240
MAKEFILE = "hello: hello.c\n\tcc -o hello hello.c\n"
HELLO = '#include <stdio.h>\nint main(void) { return puts("compiled") < 0; }\n'
NODE = """
const os = require('os');
let sum = 0;
for (let i = 0; i < 3e6; i++) sum += i % 7;   // long enough for the JIT
if (!os.cpus().length || !Object.keys(os.networkInterfaces()).length) throw new Error('blind');
console.log('jitted', sum);
"""


def run(*argv: str, cwd: Path | None = None) -> str:
    """What a program prints; raises if it fails."""
    done = subprocess.run(
        argv, cwd=cwd, check=False, capture_output=True, text=True, timeout=SECONDS
    )
    if done.returncode:
        raise OSError(f"{argv[0]}: {done.returncode}: {done.stdout[-300:]}{done.stderr[-500:]}")
    return done.stdout


def scratch(name: str) -> Path:
    """A new directory of the attempt's own."""
    path = Path(os.environ["TMPDIR"], name)
    path.mkdir(parents=True)
    return path


def compiler() -> str:
    """Compile with make and gcc, and run what was made."""
    place = scratch("c")
    (place / "hello.c").write_text(HELLO)
    (place / "Makefile").write_text(MAKEFILE)
    run("make", cwd=place)
    return run("./hello", cwd=place)


def venv() -> str:
    """Make a virtual environment with pip in it, and use it."""
    place = scratch("python")
    run("python3", "-m", "venv", str(place / "env"))
    return run(str(place / "env/bin/python"), "-m", "pip", "--version")


def npm() -> str:
    """Install a package with a program of its own, and run it."""
    library, user = scratch("library"), scratch("user")
    (library / "cli.js").write_text("#!/usr/bin/env node\nconsole.log('installed');\n")
    about = {"name": "probe", "version": "1.0.0", "bin": {"probe": "cli.js"}}
    (library / "package.json").write_text(json.dumps(about))
    (user / "package.json").write_text('{"private": true}')
    packed = run("npm", "pack", "--silent", cwd=library).strip()
    run("npm", "install", "--silent", "--offline", str(library / packed), cwd=user)
    return run("node_modules/.bin/probe", cwd=user)


def terminal() -> str:
    """Run a program on a terminal of its own."""
    pid, master = pty.fork()
    if pid == 0:
        os.execvp("sh", ["sh", "-c", "test -t 0 && tty"])
    said = os.read(master, 100).decode()
    if os.waitpid(pid, 0)[1]:
        raise OSError("no terminal")
    return said


def repository() -> str:
    """Commit in a new repository, copy it, and clone it."""
    place = scratch("git")
    run("git", "init", "-q", cwd=place)
    (place / "a").write_text("a")
    (place / "a").chmod(0o755)
    identity = ("-c", "user.name=Probe", "-c", "user.email=probe@example.com")
    run("git", "add", "a", cwd=place)
    run("git", *identity, "commit", "-q", "-m", "One", cwd=place)
    run("cp", "-r", str(place), str(place.with_name("copy")))
    run("git", "clone", "-q", str(place), str(place.with_name("clone")))
    return run("git", "log", "--oneline", cwd=place.with_name("clone"))


def loopback() -> str:
    """Serve and ask on the loopback, as tests do."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=10).close()
    return "connected"


def read(path: str) -> str:
    """Read a file, or list a directory."""
    place = Path(path)
    return str(sorted(place.iterdir())) if place.is_dir() else place.read_bytes()[:100].decode()


def write(path: str) -> str:
    """Make a file."""
    Path(path).write_text("was here")
    return "written"


def traced(pid: str) -> str:
    """Look into a process's memory."""
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        return str(memory.fileno())


def seen(pid: str) -> str:
    """See that a process is there."""
    return Path(f"/proc/{pid}/status").read_text()[:20]


def killed(pid: str) -> str:
    """Send a signal that does nothing."""
    os.kill(int(pid), signal.SIGCONT)
    return "sent"


def root(*argv: str) -> str:
    """Become another user."""
    return run(*(argv or ("sudo", "-n", "true")))


TOOLS: Mapping[str, Callable[[], str]] = {
    "node": lambda: run("node", "-e", NODE),
    "npm": npm,
    "git": repository,
    "make and gcc": compiler,
    "python venv": venv,
    "pty": terminal,
    "loopback": loopback,
    "workspace": lambda: write("made-in-workspace"),
}


def setuid() -> str:
    """Become root by a call."""
    os.setuid(0)
    return "root"


def set_user_id() -> str:
    """Make a program that runs as its owner."""
    place = Path(os.environ["TMPDIR"], "x")
    place.touch()
    place.chmod(0o4755)
    return "made"


WALLS: Mapping[str, Callable[..., str]] = {
    "read": read,
    "write": write,
    "trace": traced,
    "see": seen,
    "kill": killed,
    "root": root,
    "unshare": lambda: run("unshare", "--user", "true"),
    "setuid": setuid,
    "setuid file": set_user_id,
    "metadata": lambda: str(socket.create_connection(("169.254.169.254", 80), timeout=5)),
}


def attempt(name: str, act: Callable[[], str]) -> None:
    """Try it and tell."""
    try:
        went, said = True, act()
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        went, said = False, f"{type(error).__name__}: {error}"
    print(json.dumps({"try": name, "went": went, "said": said.strip()}), flush=True)  # noqa: T201 - its answer


def main() -> None:
    """Try the tools, or the walls that the arguments name: ``read=/etc/shadow``."""
    kind, *arguments = sys.argv[1:]
    if kind == "tools":
        for name, act in TOOLS.items():
            attempt(name, act)
    for argument in arguments:
        name, _, about = argument.partition("=")
        attempt(argument, partial(WALLS[name], *([about] if about else [])))


if __name__ == "__main__":
    main()
