"""The real daemon as a child process, and what a person at its host can see of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_ANSWER_SECONDS = 20.0
_LAST_LINES = 40


def until(
    condition: Callable[[], T], what: str | Callable[[], str], seconds: float = _PATIENCE_SECONDS
) -> T:
    """The condition's answer once it is true. Raises TimeoutError with ``what`` was awaited."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            told = what if isinstance(what, str) else what()
            raise TimeoutError(f"after {seconds:.0f} s still waiting for {told}")
        time.sleep(_LOOK_SECONDS)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the daemon answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class DaemonProcess:
    """``claude-flow-service`` in a session of its own; its output goes to ``log``."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environ: Mapping[str, str],
        log: Path,
        address_file: Path,
    ) -> None:
        self._log = log
        self._address_file = address_file
        address_file.unlink(missing_ok=True)  # of a daemon before, perhaps killed
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "claude_flow.daemon.main", *arguments],
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """All that it, and daemons before it on this log, said."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait(self, seconds: float = _PATIENCE_SECONDS) -> int:
        """Its exit code, once it has ended. Raises TimeoutError."""
        until(
            lambda: not self.is_running, lambda: f"the daemon's end\n{self.last_words()}", seconds
        )
        return self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def stop(self, seconds: float = _PATIENCE_SECONDS) -> int:
        """End it as systemd does; its exit code."""
        if self.is_running:
            self._process.terminate()
        return self.wait(seconds)

    def kill(self) -> None:
        """End it with SIGKILL and see it gone; fine if it has ended."""
        if self.is_running:
            self._process.kill()
        self._process.wait()

    def address(self) -> str:
        """Where it answers HTTP, once it does. Raises TimeoutError."""

        def read() -> str:
            if not self.is_running:
                raise ChildProcessError(f"the daemon has ended\n{self.last_words()}")
            try:
                return self._address_file.read_text(encoding="ascii").strip()
            except FileNotFoundError:
                return ""

        found = until(read, lambda: f"the daemon's address\n{self.last_words()}")
        return f"http://{found}"

    def ask(self, path: str, *, method: str = "GET", token: str | None = None) -> HttpAnswer:
        """Ask its HTTP side. Raises OSError if it does not answer."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(self.address() + path, method=method, headers=headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310
                return HttpAnswer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return HttpAnswer(error.code, dict(error.headers), error.read())

    def runs(self, issue: object = None) -> list[dict[str, Any]]:
        """Its runs, newest first, as the HTTP API shows them; of one issue if named."""
        found: list[dict[str, Any]] = self.ask("/api/v1/runs").json()["runs"]
        return [run for run in found if issue is None or run["issue"] == str(issue)]

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.splitlines()[-_LAST_LINES:])


def host_environment(home: Path) -> dict[str, str]:
    """A small environment for a daemon: nothing of this process but where programs are."""
    inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**inherited, "HOME": str(home)}
