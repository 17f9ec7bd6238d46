"""Workspaces for ten runs at once against ten full clones, and forty at once, in one run.

All work on one repository of 5,000 files behind the same address, and take turns, so that a busy
machine slows all alike; medians are shown. Exits with 1 if one of the project's floors does not
hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from claude_flow.execution.processes import ProcessRunner
from claude_flow.model.issue import Repository
from claude_flow.workspace import GitWorkspaces, WorkspaceSettings, WorkspaceStorage

WIDGETS = Repository("octo", "widgets")
FILES = 5000
COMMITS = 5
AT_ONCE = 10
MANY_AT_ONCE = 40
MOST_OF_THE_CLONES_TIME = 0.6
MOST_BYTES_BESIDE_THE_FILES = 1_000_000


@dataclass(frozen=True)
class Result:
    """Medians of seconds, and the bytes that one takes beside its checked-out files."""

    name: str
    seconds: float
    bytes_beside_the_files: int


class Yard:
    """A server with the repository, the workspaces over it, and room for clones."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._server = root / "server" / f"{WIDGETS}.git"
        self._address = f"file://{root}/server"
        _run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(self._server))
        history = b"".join(_history())
        _run("git", "fast-import", "--quiet", "--done", cwd=self._server, stdin=history)
        _run("git", "repack", "-a", "-d", "--quiet", cwd=self._server)
        settings = WorkspaceSettings(
            repos_directory=root / "state/repos",
            runs_directory=root / "state/runs",
            workspace_root=root / "workspaces",
            git_base_url=self._address,
            credential=lambda: None,
            host_environment=os.environ,
            author_name="bench",
            author_email="bench@example.com",
        )
        self._workspaces = GitWorkspaces(settings, ProcessRunner())
        self._storage = WorkspaceStorage(settings, ProcessRunner())
        self.workspace_root = settings.workspace_root

    def prepare(self, count: int) -> None:
        """Make workspaces, all at once. Raises WorkspaceError if one fails."""

        async def all_at_once() -> None:
            await asyncio.gather(*(self._prepare(f"r-{number}") for number in range(count)))

        asyncio.run(all_at_once())

    async def _prepare(self, run_id: str) -> None:
        branch = f"claude-flow/{run_id}"
        await self._workspaces.prepare(run_id, WIDGETS, branch=branch, start_from="main")

    def clone(self, count: int, *, address: str | None = None) -> None:
        """Make full clones, all at once; by the server's address, or by another."""
        url = f"{address or self._address}/{WIDGETS}.git"
        clones = [
            subprocess.Popen(["git", "clone", "--quiet", url, str(self._root / "clones" / str(n))])  # noqa: S607 - as the service does
            for n in range(count)
        ]
        if any(clone.wait() for clone in clones):
            raise RuntimeError("a clone failed")

    def clone_by_path(self, count: int) -> None:
        """Make full clones on the server's own disk, whose objects are hard links."""
        self.clone(count, address=str(self._root / "server"))

    def bytes_beside_the_files(self, name: str) -> int:
        """What the first workspace or clone takes more than its files."""
        if name.startswith("workspace"):
            taken = asyncio.run(self._storage.workspace_bytes(["r-0"]))["r-0"]
            return taken - _size(self.workspace_root / "r-0", "--exclude=.git")
        return _size(self._root / "clones/0/.git")

    def clear(self) -> None:
        """Remove what was made, the mirror apart."""
        for directory in (self._root / "clones", self.workspace_root, self._root / "state/runs"):
            shutil.rmtree(directory, ignore_errors=True)


def main() -> int:
    """Measure, print the table, judge the floors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns per contestant")
    parser.add_argument("--directory", type=Path, default=_fastest(), help="where to work")
    parser.add_argument("--json", action="store_true", help="print JSON")
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=wish.directory) as directory:
        yard = Yard(Path(directory))
        yard.prepare(1)  # the mirror is there before: it is made once in a repository's life
        yard.clear()
        results = measure(yard, wish.rounds)
        forty = _seconds(lambda: yard.prepare(MANY_AT_ONCE))
        made = sum(1 for path in yard.workspace_root.iterdir() if _is_whole(path))
    faults = list(_faults(results, made))
    if wish.json:
        told = {one.name: [one.seconds, one.bytes_beside_the_files] for one in results}
        print(json.dumps({"results": told, "forty": {"seconds": forty, "made": made}}, indent=2))
    else:
        for one in results:
            beside = one.bytes_beside_the_files / 1e6
            print(f"{one.name:<34} {one.seconds:6.2f} s   {beside:6.2f} MB beside the files, each")
        print(f"{MANY_AT_ONCE} workspaces at once{forty:20.2f} s   {made} succeeded")
    for fault in faults:
        print(f"floor: {fault}", file=sys.stderr)
    return 1 if faults else 0


def measure(yard: Yard, rounds: int) -> list[Result]:
    """Let all take turns."""
    contestants: dict[str, Callable[[int], None]] = {
        f"workspaces, {AT_ONCE} at once": yard.prepare,
        f"full clones, {AT_ONCE} at once": yard.clone,
        f"clones by hard link, {AT_ONCE} at once": yard.clone_by_path,
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    beside: dict[str, int] = {}
    for _ in range(rounds):
        for name, make in contestants.items():
            seconds[name].append(_seconds(lambda make=make: make(AT_ONCE)))  # type: ignore[misc] # a lambda's default has no type
            beside[name] = yard.bytes_beside_the_files(name)
            yard.clear()
    return [Result(name, statistics.median(seconds[name]), beside[name]) for name in contestants]


def _faults(results: list[Result], made: int) -> Iterator[str]:
    workspaces, clones, *_ = results
    ratio = workspaces.seconds / clones.seconds
    if ratio > MOST_OF_THE_CLONES_TIME:
        yield f"workspaces took {ratio:.2f} of the clones' time, not {MOST_OF_THE_CLONES_TIME}"
    if workspaces.bytes_beside_the_files >= MOST_BYTES_BESIDE_THE_FILES:
        yield f"a workspace takes {workspaces.bytes_beside_the_files} bytes beside its files"
    if made != MANY_AT_ONCE:
        yield f"{made} of {MANY_AT_ONCE} workspaces succeeded"


def _history() -> Iterator[bytes]:
    chance = random.Random(1)  # noqa: S311 - the same content each time
    words = ["".join(chance.choices("abcdefghijklmnop", k=7)) for _ in range(3000)]
    for number in range(COMMITS):
        yield b"commit refs/heads/main\ncommitter a <a@example.com> %d +0000\n" % number
        yield b"data 1\nx\n"
        for file in range(FILES if number == 0 else FILES // 10):
            lines = (" ".join(chance.choices(words, k=8)) for _ in range(60))
            text = "\n".join(lines).encode()
            path = b"src/package_%02d/module_%02d/file_%02d.py" % (
                file // 500,
                file // 50 % 10,
                file % 50,
            )
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (path, len(text), text)
    yield b"done\n"


def _is_whole(workspace: Path) -> bool:
    return sum(1 for path in workspace.rglob("*.py") if path.is_file()) == FILES


def _seconds(do: Callable[[], None]) -> float:
    begun = time.monotonic()
    do()
    return time.monotonic() - begun


def _size(path: Path, *options: str) -> int:
    return int(_run("du", "-s", "--block-size=1", *options, str(path)).split(b"\t")[0])


def _run(*argv: str, cwd: Path | None = None, stdin: bytes | None = None) -> bytes:
    return subprocess.run(argv, cwd=cwd, input=stdin, stdout=subprocess.PIPE, check=True).stdout


def _fastest() -> Path:
    memory = Path("/dev/shm")  # noqa: S108 - so that no disk is measured
    return memory if memory.is_dir() and os.access(memory, os.W_OK) else Path(tempfile.gettempdir())


if __name__ == "__main__":
    sys.exit(main())
