"""A target as a virtual machine: limits on memory, reboots and power cuts are real as well.

It is made from a container in which everything is installed already, at native speed: without
KVM, what takes a second elsewhere takes ten in it.
"""

from __future__ import annotations

import logging
import shutil
import signal
from pathlib import Path

from tools.targets import access, background, container
from tools.targets.commands import TargetError, output, run

_NAME = "machine"
_PROGRAM = "qemu-system-x86_64"
_DISK = "6G"
_MEMORY_MIB = 2048
_BOOT_SECONDS = 600
# How a machine with QEMU's user network reaches this one's loopback.
_HOST = "10.0.2.2"
_NETWORK = "[Match]\nName=eth0\n\n[Network]\nDHCP=yes\n"
_SOCKET = "[Socket]\nListenStream=127.0.0.1:{port}\n\n[Install]\nWantedBy=sockets.target\n"
_SERVICE = "[Service]\nExecStart=/lib/systemd/systemd-socket-proxyd {host}:{port}\n"
_log = logging.getLogger("targets")


def convert(state: Path) -> None:
    """Make the container of the state directory a machine, and boot it. Raises TargetError."""
    files = container.stop(state)
    access.write(access.files(state, is_on_loopback=False) | _network(state), files)
    _enable(files, "systemd-networkd.service", "multi-user.target.wants")
    for name in ("port_a", "port_b"):
        _enable(files, f"target-{name}.socket", "sockets.target.wants")
    for name in ("vmlinuz", "initrd.img"):
        newest = max((files / "boot").glob(f"{name}-*"), default=None)
        if newest is None:
            raise TargetError("the container has no kernel: create it with --bootable")
        shutil.copy(newest, state / name)
    run("mke2fs", "-q", "-t", "ext4", "-d", str(files), str(state / "disk"), _DISK)
    container.remove(state)
    boot(state)


def boot(state: Path) -> None:
    """Switch it on, and wait until its systemd is up and sshd answers. Raises TargetError."""
    ssh = access.port(state)
    if not shutil.which(_PROGRAM):
        raise TargetError(f"{_PROGRAM} is not installed: apt-get install qemu-system-x86")
    argv = [
        *(_PROGRAM, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"),
        *("-m", str(_MEMORY_MIB), "-display", "none", "-monitor", "none"),
        *("-kernel", str(state / "vmlinuz"), "-initrd", str(state / "initrd.img")),
        *("-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0"),
        *("-drive", f"file={state / 'disk'},format=raw,if=virtio"),
        *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{ssh}-:{ssh}"),
        *("-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci"),
        *("-serial", "stdio"),
    ]
    background.start(argv, state, _NAME)
    access.wait_for_boot(
        state,
        lambda: output(*access.over_ssh(state, "systemctl is-system-running")),
        seconds=_BOOT_SECONDS,
        hint=str(state / f"{_NAME}.out"),
    )
    _log.info("the machine is up, sshd on port %d", ssh)


def cut(state: Path) -> None:
    """Cut its power: what it has not on its disk is lost. Does nothing if there is none."""
    background.end(state, _NAME, signal.SIGKILL)


def _network(state: Path) -> dict[str, bytes]:
    """What the container had of this machine: the stand-in's two ports on its own loopback."""
    made = {"etc/systemd/network/target.network": _NETWORK}
    for name in ("port_a", "port_b"):
        number = access.port(state, name)
        unit = f"etc/systemd/system/target-{name}"
        made[f"{unit}.socket"] = _SOCKET.format(port=number)
        made[f"{unit}.service"] = _SERVICE.format(host=_HOST, port=number)
    return {path: text.encode() for path, text in made.items()}


def _enable(root: Path, unit: str, target: str) -> None:
    units = root / "etc" / "systemd" / "system"
    found = units / unit
    link = units / target / unit
    link.parent.mkdir(exist_ok=True)
    inside = Path("/") / found.relative_to(root) if found.exists() else Path("/lib/systemd/system")
    link.unlink(missing_ok=True)
    link.symlink_to(inside if found.exists() else inside / unit)
