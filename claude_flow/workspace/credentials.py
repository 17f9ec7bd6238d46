"""A login for one git command, through an inherited file descriptor and nothing else.

Git's own ways to hold a credential (URL, configuration, environment, a file) can all be read
by others or stay behind. Here the secret lies in sealed anonymous memory; git is only told the
number of the descriptor.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from claude_flow.errors import WorkspaceError
from claude_flow.workspace.settings import Credential

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@dataclass(frozen=True, slots=True)
class Offer:
    """What a git command needs to log in: configuration and descriptors to inherit."""

    config: tuple[tuple[str, str], ...] = ()
    fds: tuple[int, ...] = ()


@contextmanager
def offered(credential: Credential | None, base_url: str) -> Iterator[Offer]:
    """Offer the login to git, for the server of ``base_url`` only (no redirect gets it)."""
    parts = urlsplit(base_url)
    if credential is None or not parts.netloc:
        yield Offer()
        return
    fd = _sealed(_lines(credential))
    refused = os.memfd_create("git-credential-refused", os.MFD_CLOEXEC)
    try:
        # Opening the /proc path starts at the beginning each time git asks again. Once the login
        # was refused ("erase") it is not given again: git-lfs would ask and try for ever.
        helper = (
            '!f() { case "$1" in '
            f"get) test -s /proc/self/fd/{refused} || cat /proc/self/fd/{fd};; "
            f"erase) echo refused >/proc/self/fd/{refused};; esac; }}; f"
        )
        key = f"credential.{parts.scheme}://{parts.netloc}.helper"
        yield Offer(config=((key, helper),), fds=(fd, refused))
    finally:
        os.close(fd)
        os.close(refused)


def _lines(credential: Credential) -> bytes:
    text = f"username={credential.username}\npassword={credential.password}\n"
    if text.count("\n") != 2 or "\0" in text:  # noqa: PLR2004 - the two just written
        raise WorkspaceError(
            "the git credential holds a line break or a NUL",
            hint="write the token again, without anything around it",
        )
    return text.encode()


def _sealed(content: bytes) -> int:
    fd = os.memfd_create("git-credential", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.write(fd, content)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(fd)
        raise
    return fd
