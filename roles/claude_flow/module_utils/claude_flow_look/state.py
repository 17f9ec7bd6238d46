"""Users, directories and files as they are, beside how they are wanted."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_MODE = 0o644  # of what the role writes for everybody to read


def is_user(name: str, home: str) -> bool:
    """Whether a user is there that has this home and cannot log in."""
    try:
        user, group = pwd.getpwnam(name), grp.getgrnam(name)
    except KeyError:
        return False
    return (user.pw_dir, user.pw_shell, user.pw_gid) == (home, "/usr/sbin/nologin", group.gr_gid)


def is_fit(wanted: Mapping[str, str]) -> bool:
    """Whether a directory is there with its owner, group and mode."""
    try:
        seen = os.lstat(wanted["path"])
        owner, group = pwd.getpwnam(wanted["owner"]), grp.getgrnam(wanted["group"])
    except (OSError, KeyError):
        return False
    return (
        stat.S_ISDIR(seen.st_mode)
        and stat.S_IMODE(seen.st_mode) == int(wanted["mode"], 8)
        and (seen.st_uid, seen.st_gid) == (owner.pw_uid, group.gr_gid)
    )


def digest(path: Path) -> str:
    """The SHA-256 of a file's content; none where it is not root's with mode 0644."""
    try:
        seen = path.lstat()
        content = path.read_bytes()
    except OSError:
        return ""
    fit = stat.S_ISREG(seen.st_mode) and stat.S_IMODE(seen.st_mode) == _MODE
    return hashlib.sha256(content).hexdigest() if fit and seen.st_uid == seen.st_gid == 0 else ""


def restart_keys(before: str, values: Mapping[str, Any]) -> list[str]:
    """The settings that differ from the text of the old file and only apply after a restart."""
    try:
        old = json.loads(before or "{}")
    except ValueError:
        old = {}
    return [key for key, (now, default) in values.items() if _at(old, key, default) != now]


def outdated(directory: Path, wanted: Iterable[str]) -> list[str]:
    """The secrets that nothing asks for any longer."""
    keep = set(wanted)
    there = directory.iterdir() if directory.is_dir() else ()
    return sorted(str(path) for path in there if path.name not in keep and path.is_file())


def newer(paths: Iterable[Path], reference: Path) -> list[str]:
    """What was changed after a file was; nothing if that file is not there."""
    try:
        since = reference.stat().st_mtime_ns
    except FileNotFoundError:
        return []
    everything = [path for top in paths for path in (top, *_within(top))]
    return sorted(
        str(path)
        for path in everything
        if os.path.lexists(path) and path.lstat().st_mtime_ns > since
    )


def _at(document: Any, key: str, default: Any) -> Any:
    for name in key.split("."):
        if not isinstance(document, dict) or name not in document:
            return default
        document = document[name]
    return document


def _within(top: Path) -> Iterable[Path]:
    return top.iterdir() if top.is_dir() and not top.is_symlink() else ()
