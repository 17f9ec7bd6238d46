"""What git's words mean, said so that a person knows what to do."""

from __future__ import annotations

import re
from enum import Enum, auto

from claude_flow.errors import WorkspaceError, WorkspaceUnreachableError

_LONGEST = 600
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
# Lines that say why; the rest is progress and advice.
_TELLING = (
    "remote: ",
    "fatal: ",
    "error: ",
    "warning: ",
    "[",
    "error transferring ",
    "batch response: ",
)


class Fault(Enum):
    """Why a talk with the git server failed."""

    UNREACHABLE = auto()
    CERTIFICATE = auto()
    LOGIN = auto()
    FORBIDDEN = auto()
    MISSING = auto()
    DISK_FULL = auto()
    OTHER = auto()


_SIGNS = (
    (Fault.DISK_FULL, r"no space left on device|disk quota exceeded"),
    (Fault.CERTIFICATE, r"certificate|SSL_ERROR|gnutls_handshake"),
    (
        Fault.LOGIN,
        (
            r"authentication (failed|required)|could not read (username|password)"
            r"|terminal prompts disabled|returned error: 401"
        ),
    ),
    (Fault.FORBIDDEN, r"returned error: 403"),
    (
        Fault.MISSING,
        (
            r"^fatal: repository '.*' not found|returned error: (404|410)"
            r"|does not appear to be a git repository|^fatal: '.*' does not exist"
        ),
    ),
    (
        Fault.UNREACHABLE,
        (
            r"could not resolve|failed to connect|couldn't connect"
            r"|connection (refused|timed out|reset)"
            r"|network is unreachable|operation (timed out|too slow)|timeout was reached"
            r"|returned error: (429|5\d\d)|empty reply|early eof|hung up unexpectedly|rpc failed"
            r"|recv failure|send failure|unexpected disconnect|transfer closed|was not done after"
            r"|http2 framing|not closed cleanly|invalid.* server response|bad line length"
        ),
    ),
)

_HINTS = {
    Fault.UNREACHABLE: "check the network and github.git_base_url; it is worth trying again later",
    Fault.CERTIFICATE: "let SSL_CERT_FILE in the daemon's environment name the certificate "
    "authority's bundle",
    Fault.LOGIN: "check github.token: is it expired, and may it read this repository?",
    Fault.FORBIDDEN: "give the token the right 'Contents: read and write' on this repository",
    Fault.MISSING: "check github.repositories for a slip or a rename, and that the token may see "
    "the repository",
    Fault.DISK_FULL: "make room below service.state_directory",
}


def fault(stderr: bytes) -> Fault:
    """Why git failed, judged by what it printed."""
    text = stderr.decode(errors="replace")
    for kind, pattern in _SIGNS:
        if re.search(pattern, text, re.IGNORECASE | re.MULTILINE):
            return kind
    return Fault.OTHER


def server_error(doing: str, stderr: bytes) -> WorkspaceError:
    """The error for a failed talk with the server; ``doing`` is ``fetching X from URL``."""
    kind = fault(stderr)
    message = f"{doing} failed: {words(stderr)}"
    if kind is Fault.UNREACHABLE:
        return WorkspaceUnreachableError(message, hint=_HINTS[kind])
    return WorkspaceError(message, hint=_HINTS.get(kind))


def words(stderr: bytes) -> str:
    """Git's and the server's own words in one line, without advice, progress and control codes."""
    text = stderr.decode(errors="replace").replace("\r", "\n")
    lines = [_CONTROL.sub("", line).strip() for line in text.split("\n")]
    said = [line for line in lines if line and line != "remote:"]
    telling = [line for line in said if line.startswith(_TELLING)] or said[-3:]
    line = "; ".join(dict.fromkeys(telling))
    return line if len(line) <= _LONGEST else line[:_LONGEST] + " …"
