"""A second process around ``claude-flow-run``, so that killing one of the two leaves nothing.

An agent's orphans become children of the nearest subreaper above them. If that one is killed
itself, they go to the next: without a guard that is init, where nobody knows them any more.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

from claude_flow.execution import kernel
from claude_flow.execution.sweep import end_descendants

_LOOK_SECONDS = 0.05


def guarded(work: Callable[[], int], *, grace_seconds: float) -> int:
    """Do ``work`` in a child process; returns its exit code, in both. Raises OSError.

    If the child is killed, what it left is ended, and this process dies of the same signal.
    If this process is killed, the child gets SIGTERM. SIGTERM and SIGINT are passed on to it.
    """
    kernel.become_subreaper()
    guard = os.getpid()
    child = os.fork()
    if child == 0:
        kernel.end_with_parent(guard, signal.SIGTERM)
        return work()
    _for_both(lambda number, _frame: _send(child, number))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    _for_both(signal.SIG_IGN)
    end_descendants(grace_seconds=grace_seconds, clock=time.monotonic, wait=_reap)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(guard, -code)
    return code


def _for_both(handler: Callable[[int, object], None] | signal.Handlers) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _reap() -> None:
    time.sleep(_LOOK_SECONDS)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
