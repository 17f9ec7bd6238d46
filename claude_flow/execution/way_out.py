"""How a sandbox without a network of its own reaches the proxy that stands outside of it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from claude_flow.execution import door
from claude_flow.execution.forwarding import ForwardProxy
from claude_flow.execution.hosts import HostList, canonical
from claude_flow.execution.refusals import RefusalLog
from claude_flow.execution.spec import AttemptSpec

_LOCAL = ("localhost", "127.0.0.1", "::1")
# Few programs agree on a spelling; of ALL_PROXY those hear that speak to other servers too.
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_NO_PROXY_VARIABLE = "NO_PROXY"
# Node.js, from 22.21 and 24.5 on, reads the others only if it is asked to.
_NODE_VARIABLE = "NODE_USE_ENV_PROXY"


@dataclass(frozen=True, slots=True)
class Passed:
    """What the first program inside is started with, beside what the agent is."""

    variables: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()


@contextmanager
def way_out(spec: AttemptSpec, own: Mapping[str, str]) -> Iterator[Passed]:
    """A proxy that serves whoever is started with what this gives; ``own`` is our environment.

    Raises OSError, and ValueError for a spec that nobody of us wrote.
    """
    if spec.hosts is None:
        yield Passed()
        return
    # Late: it loads a library of which few attempts need anything.
    from claude_flow.execution.gateway import Gateway  # noqa: PLC0415

    gateway = Gateway(
        HostList.of(spec.hosts),
        RefusalLog(spec.files.refusals).add,
        forward=ForwardProxy.from_environment(own),
    )
    ours, theirs = socket.socketpair()
    gateway.open(ours)
    with theirs:
        yield passed_over(theirs)


def passed_over(channel: socket.socket) -> Passed:
    """What has the first program hand its socket out over ``channel``."""
    return Passed({door.CHANNEL: str(channel.fileno())}, (channel.fileno(),))


def door_command() -> tuple[str, ...]:
    """The first program inside, before the command that it becomes."""
    return (str(_python()), "-I", "-S", str(_program()))


def door_files() -> tuple[Path, ...]:
    """What has to be seen inside for that, beside the system's."""
    return (_program(), Path(sys.base_prefix).resolve())


def proxy_environment(hosts: HostList) -> Mapping[str, str]:
    """The variables by which programs inside learn of the proxy.

    The sandbox's own loopback needs none, unless a listed host goes by such a name.
    """
    address = f"http://{door.HOST}:{door.PORT}"
    listed = {entry.host for entry in hosts.entries}
    direct = ",".join(name for name in _LOCAL if canonical(name) not in listed)
    told = dict.fromkeys(_PROXY_VARIABLES, address) | {_NO_PROXY_VARIABLE: direct}
    return {**told, **{name.lower(): value for name, value in told.items()}, _NODE_VARIABLE: "1"}


def _python() -> Path:
    return Path(sys.executable).resolve()


def _program() -> Path:
    return Path(door.__file__).resolve()
