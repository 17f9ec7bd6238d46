"""The configuration that a daemon runs with, left in a file for ``claude-flowctl config diff``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from claude_flow.config.errors import ConfigFileError
from claude_flow.config.parsing import JsonFaultError, parse
from claude_flow.config.schema import Cure
from claude_flow.config.secret import FileFaultError, MissingFileError, read_text
from claude_flow.config.snapshot import Snapshot
from claude_flow.config.writing import write_document
from claude_flow.journal import MASK

RUNNING_FILE = "running-config.json"
# What a file cannot change: it is the daemon's own, or stronger than any file.
_NOT_FROM_FILES = frozenset({"credential", "environment", "override"})


class RunningRecord:
    """A daemon's record of what it runs with. Secrets are left out of it."""

    def __init__(self, directory: Path, snapshot: Snapshot) -> None:
        self._path = directory / RUNNING_FILE
        self._entries = {key: _entry(snapshot, key) for key in snapshot.values}

    def write(self) -> None:
        """Leave the record in the directory. Raises ConfigFileError."""
        write_document(self._path, {"settings": self._entries})

    def take_over(self, snapshot: Snapshot) -> None:
        """Write it anew after a reload: what needs a restart stays as it was."""
        for key, setting in snapshot.schema.settings.items():
            if setting.cure is not Cure.RESTART:
                self._entries[key] = _entry(snapshot, key)
        self.write()


def _entry(snapshot: Snapshot, key: str) -> dict[str, Any]:
    explanation = snapshot.explain(key)
    return {"value": explanation.value, "layer": explanation.layer, "from": str(explanation.origin)}


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that the daemon runs with otherwise than its files say now."""

    key: str
    running: Any
    files: Any
    needs: Cure

    def to_json(self) -> dict[str, Any]:
        """The difference as JSON."""
        return asdict(self)


def read_running(directory: Path) -> Mapping[str, Any] | None:
    """The record's entries, None if the directory holds none.

    Raises ConfigFileError if there is one that cannot be read.
    """
    path = directory / RUNNING_FILE
    try:
        entries: Mapping[str, Any] = parse(read_text(path).text)["settings"]
    except MissingFileError:
        return None
    except (FileFaultError, JsonFaultError, KeyError, TypeError) as fault:
        raise ConfigFileError(f"{path} cannot be used: {fault}") from None
    return entries


def differences(running: Mapping[str, Any], files: Snapshot) -> list[Difference]:
    """How what the files say differs from what runs; secrets are not compared.

    Settings that the daemon has from its environment or a credential stay out: no file
    changes them. So do those that only one of the two releases knows.
    """
    found = []
    for key, setting in files.schema.settings.items():
        entry = running.get(key)
        if entry is None or setting.is_secret or entry["layer"] in _NOT_FROM_FILES:
            continue
        if entry["value"] not in (files.get(key), MASK):
            found.append(Difference(key, entry["value"], files.get(key), setting.cure))
    return found
