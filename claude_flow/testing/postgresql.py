"""A PostgreSQL server of a test's own, run by an unprivileged user and gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class PostgreSQL:
    """A running server; ``template`` is what a new database starts from."""

    directory: Path
    port: int
    template: str = "template1"
    made: list[str] = field(default_factory=list)

    def new_database(self) -> str:
        """The address of a new database."""
        name = f"t{len(self.made)}"
        _run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-T",
             self.template, name, directory=self.directory)  # fmt: skip
        self.made.append(name)
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def restart(self, away_seconds: float) -> None:
        """Be away for a while."""
        self.stop()
        time.sleep(away_seconds)  # being away for a time is what is shown
        self.start()

    def start(self) -> None:
        """Begin to answer."""
        self._control("start")

    def stop(self) -> None:
        """End at once, as by a fault."""
        self._control("-m", "immediate", "stop")

    def _control(self, *words: str) -> None:
        log = str(self.directory / "log")
        _run("pg_ctl", "-D", str(self.directory / "data"), "-w", "-l", log, *words,
             directory=self.directory)  # fmt: skip


@contextmanager
def postgresql_server() -> Iterator[PostgreSQL]:
    """A server for the ``with``. Raises FileNotFoundError if there is none to be had."""
    directory = Path(tempfile.mkdtemp(prefix="claude-flow-pg-"))
    if os.getuid() == 0:
        shutil.chown(directory, "postgres")
    data = directory / "data"
    _run(
        "initdb", "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync", directory=directory
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(f"listen_addresses = '127.0.0.1'\nport = {port}\nfsync = off\n")
        settings.write(f"unix_socket_directories = '{directory}'\n")
    server = PostgreSQL(directory, port)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _run(program: str, *arguments: str, directory: Path) -> None:
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    subprocess.run(
        [*as_user, _binaries() / program, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=directory,
    )


def _binaries() -> Path:
    for attempt in range(2):
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if found:
            return found[-1].parent
        if attempt == 0 and os.getuid() == 0:
            subprocess.run(
                ["/usr/bin/apt-get", "install", "-y", "--no-install-recommends", "postgresql"],
                check=True,
            )
    raise FileNotFoundError("PostgreSQL is missing: install the Debian package postgresql")
