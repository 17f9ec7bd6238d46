"""Which hosts an attempt asked for and did not reach: written beside it, read by the daemon."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from claude_flow.execution.logs import LogTail
from claude_flow.model.events import HostRefused

_log = logging.getLogger(__name__)

_HOSTS = 100
_LONGEST_NAME = 253


class RefusalLog:
    """Appends each refused host once, for as long as there are not too many. In any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def add(self, host: str, port: int, why: str) -> None:
        """Write it down, unless that was done before. Raises OSError."""
        with self._lock:
            if host in self._told or len(self._told) == _HOSTS:
                return
            self._told.add(host)
            # An agent may ask for anything: what is told of it has no control characters.
            shown = host[:_LONGEST_NAME].encode("unicode_escape").decode("ascii")
            line = json.dumps({"host": shown, "port": port, "why": why})
            with self._path.open("a", encoding="ascii") as stream:
                stream.write(line + "\n")


class Refusals:
    """Reads them while they are written; ``redact`` takes secrets out of what is logged."""

    def __init__(self, path: Path, *, offset: int, what: str, redact: Callable[[str], str]) -> None:
        self._tail = LogTail(path, offset=offset)
        self._what = what
        self._redact = redact

    def read(self) -> Iterator[HostRefused]:
        """Those since the last call; each is told in the log."""
        for line in self._tail.lines():
            refused = _parsed(line)
            if refused is not None:
                said = f"{refused.host}:{refused.port}: {refused.why}"
                _log.warning("%s was refused %s", self._what, self._redact(said))
                yield refused


def _parsed(line: str) -> HostRefused | None:
    try:
        return HostRefused(**json.loads(line))
    except (ValueError, TypeError):
        return None
