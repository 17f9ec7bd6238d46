"""The database of runs: a file of this host, or a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from claude_flow.bootstrap import open_record
from claude_flow.cli.doctor.finding import Finding, Grade
from claude_flow.config import ConfigManager


def check(config: ConfigManager, *, sees_secrets: bool = True) -> Iterator[Finding]:
    """Open it and read of it. Raises EngineError where that fails.

    ``sees_secrets`` is whether this user would see the address of a shared database.
    """
    url, state = config.get("engine.database_url"), Path(config.get("service.state_directory"))
    record = open_record(config)
    if url is None and not sees_secrets and not record.exists:
        yield Finding(
            "database",
            Grade.WARN,
            f"{state} has none, and the address of another is hidden from this user",
            "try it with sudo; else the finding 'health' tells whether the daemon's works",
        )
        return
    where = place(url, state)
    try:
        runs = record.runs(limit=1)
    except PermissionError:
        text = f"{where} may not be read by this user"
        yield Finding("database", Grade.WARN, text, "try it with sudo")
        return
    amount = "holds runs" if runs else "holds no run yet"
    yield Finding("database", Grade.FINE, f"{where} can be read and {amount}")


def place(url: str | None, state_directory: Path) -> str:
    """Where it is, in words, without its password."""
    if url is None:
        return f"SQLite in {state_directory}"
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"PostgreSQL at {parts.hostname or 'this host'}{port}{parts.path}"
