"""The first program in a sandbox whose only way out is a proxy outside of it.

The network in there is the sandbox's own: what listens on its loopback is seen by nobody
outside. So this program listens, hands the socket out, and becomes the program named in its
arguments. It runs under a Python without this package: nothing but the standard library.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

CHANNEL = "CLAUDE_FLOW_DOOR"
"""The variable that names the descriptor over which the socket is handed out."""
HOST = "127.0.0.1"
PORT = 61080
"""Where the proxy is found inside: above the ports that the kernel gives away by itself."""

_BACKLOG = 128


def main(argv: list[str]) -> None:
    """Hand the listening socket out and become ``argv``. Raises OSError."""
    with (
        socket.socket(fileno=int(os.environ.pop(CHANNEL))) as channel,
        socket.create_server((HOST, PORT), backlog=_BACKLOG) as listener,
    ):
        socket.send_fds(channel, [b"."], [listener.fileno()])
    # What Python has set for itself is not for what it becomes: two signals that it ignores,
    # and a locale where none is named.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    with open("/proc/self/environ", "rb") as given:  # noqa: PTH123 - pathlib is slow to load
        names = {variable.partition(b"=")[0] for variable in given.read().split(b"\0")}
    if b"LC_CTYPE" not in names:
        os.environ.pop("LC_CTYPE", None)
    os.execv(argv[0], argv)  # noqa: S606 - it becomes the agent


if __name__ == "__main__":
    main(sys.argv[1:])
