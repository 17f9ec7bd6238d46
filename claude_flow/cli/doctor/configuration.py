"""The configuration, and who may read and change what it and its secrets are made of."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from claude_flow.cli.doctor.finding import Finding, Grade
from claude_flow.config import ConfigManager
from claude_flow.service.places import TOKEN_FILE, runtime_directories

CREDENTIALS = Path("/etc/claude-flow/credentials")
"""Where the role keeps what systemd gives to the daemon."""


@dataclass(frozen=True, slots=True)
class Access:
    """A path and who may do what with it."""

    path: Path
    mode: int
    owner: int


def check(config: ConfigManager, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Validity, warnings, and the modes of files."""
    yield Finding("configuration", Grade.FINE, f"{config.path} is valid")
    for warning in config.warnings:
        yield Finding("configuration", Grade.WARN, warning)
    for path in (config.path, *sorted(config.path.parent.glob("conf.d/*.json"))):
        access = _look(path)
        if access is not None:
            yield from judge_configuration_file(access, os.geteuid())
    yield from _credentials(config, environ)


def _credentials(config: ConfigManager, environ: Mapping[str, str]) -> Iterator[Finding]:
    secret = [
        Path(config.get(key))
        for key, setting in config.schema.settings.items()
        if setting.is_secret_file and config.get(key) is not None
    ]
    secret += [place / TOKEN_FILE for place in runtime_directories(config, environ)]
    with contextlib.suppress(OSError):  # none there, or well closed
        secret += [CREDENTIALS, *sorted(CREDENTIALS.iterdir())]
    seen = [access for path in dict.fromkeys(secret) if (access := _look(path)) is not None]
    faults = [fault for access in seen for fault in judge_secret(access)]
    yield from faults
    if not faults:
        amount = f"{len(seen)} secret files" if len(seen) != 1 else "1 secret file"
        text = f"{amount} seen, none open to others" if seen else "no secret file is visible here"
        yield Finding("credentials", Grade.FINE, text)


def _look(path: Path) -> Access | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return Access(path, stat.S_IMODE(status.st_mode), status.st_uid)


def judge_configuration_file(access: Access, user: int) -> Iterator[Finding]:
    """Whoever can write the configuration decides what runs, and as whom."""
    if access.mode & stat.S_IWOTH or access.mode & stat.S_IWGRP:
        yield Finding(
            "configuration",
            Grade.FAIL,
            f"{access.path} can be changed by others than its owner (mode {access.mode:04o})",
            f"chmod go-w {access.path}",
        )
    if access.owner not in {0, user}:
        yield Finding(
            "configuration",
            Grade.WARN,
            f"{access.path} belongs to user {access.owner}, who can change what the service does",
            f"chown root {access.path}",
        )


def judge_secret(access: Access) -> Iterator[Finding]:
    """A secret is its owner's; a group may share one, the world may not."""
    if access.mode & stat.S_IRWXO:
        yield Finding(
            "credentials",
            Grade.FAIL,
            f"{access.path} holds a secret that everybody on this host can reach "
            f"(mode {access.mode:04o})",
            f"chmod o= {access.path}; then replace the secret, somebody may have it",
        )
    elif access.mode & stat.S_IWGRP:
        yield Finding(
            "credentials",
            Grade.WARN,
            f"{access.path} holds a secret that its group can replace (mode {access.mode:04o})",
            f"chmod g-w {access.path}",
        )
