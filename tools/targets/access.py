"""How a target is reached: ports of the loopback that it shares with this machine, and a key."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

from tools.targets.commands import TargetError, run

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PORTS = ("ssh_port", "port_a", "port_b")
_SSHD = """Port {port}
{listen}PasswordAuthentication no
PermitRootLogin prohibit-password
UseDNS no
"""


def prepare(state: Path) -> None:
    """Choose free ports and make a key; both are files of the state directory."""
    state.mkdir(parents=True, exist_ok=True)
    for name, port in zip(_PORTS, _free_ports(len(_PORTS)), strict=True):
        (state / name).write_text(str(port), encoding="utf-8")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "target", "-f", str(_key(state)))


def port(state: Path, name: str = "ssh_port") -> int:
    """One of the ports that were chosen: ``ssh_port``, ``port_a`` or ``port_b``."""
    return int((state / name).read_text(encoding="utf-8"))


def files(state: Path, *, is_on_loopback: bool) -> dict[str, bytes]:
    """What makes a target reachable, by path in it."""
    listen = "ListenAddress 127.0.0.1\n" if is_on_loopback else ""
    made = {
        "etc/ssh/sshd_config.d/target.conf": _SSHD.format(port=port(state), listen=listen).encode(),
        "root/.ssh/authorized_keys": _key(state).with_suffix(".pub").read_bytes(),
    }
    if _CERTIFICATES.exists():
        # A company's proxy may have its own authority: the target trusts what this machine does.
        made[str(_CERTIFICATES).lstrip("/")] = _CERTIFICATES.read_bytes()
    return made


def write(contents: dict[str, bytes], root: Path) -> None:
    """Put files below a directory."""
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def over_ssh(state: Path, command: str) -> tuple[str, ...]:
    """The argv that runs a command in the target."""
    return (
        *("ssh", "-i", str(_key(state)), "-p", str(port(state))),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
        *("-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10", "root@127.0.0.1", command),
    )


def wait_for_boot(state: Path, system_state: Callable[[], str], *, seconds: int, hint: str) -> None:
    """Return when systemd has started everything and sshd listens. Raises TargetError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        # "degraded" is up as well: a unit that a container cannot have is no fault of ours.
        if system_state().strip() in {"running", "degraded"} and accepts(port(state)):
            return
        time.sleep(0.2)
    raise TargetError(f"the target did not boot within {seconds} s: see {hint}")


def accepts(number: int) -> bool:
    """Whether something listens on this port of the loopback."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", number)) == 0


def _key(state: Path) -> Path:
    return state / "ssh_key"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [taken.getsockname()[1] for taken in sockets]
    finally:
        for taken in sockets:
            taken.close()
