"""A Debian host with a real systemd, as a container, for the tests of the role.

``create`` makes the image if it is missing (kept until its package list changes), starts a
container of it and writes how to reach it into the state directory: ``ssh_port``, ``ssh_key``,
``port_a`` and ``port_b`` (two free ports of the loopback that it shares with this machine).
``destroy`` removes the container. Needs root and the programs of ``packages-role.txt``.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ROOT / "tools" / "packages-target.txt"
CACHE = ROOT / ".cache" / "target-image"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# crun refuses a machine that mixes cgroup v1 and v2; runc takes both.
PODMAN = ("podman", "--runtime", "runc")
EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
BOOT_SECONDS = 60
SSHD = """Port {port}
ListenAddress 127.0.0.1
PasswordAuthentication no
PermitRootLogin prohibit-password
UseDNS no
"""

_log = logging.getLogger("target")


class TargetError(Exception):
    """The target cannot be made; the text says why and what to do."""


def main() -> int:
    """Parse, do, and say what went wrong on one line."""
    logging.basicConfig(level=logging.INFO, format="target: %(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("image", "create", "destroy"):
        command = commands.add_parser(name)
        if name != "destroy":
            command.add_argument("--suite", default="bookworm", help="Debian's code name")
        if name != "image":
            command.add_argument("--state", type=Path, required=True, help="the state directory")
    arguments = parser.parse_args()
    try:
        if arguments.command == "destroy":
            destroy(arguments.state)
        else:
            image = ensure_image(arguments.suite)
            if arguments.command == "create":
                create(image, arguments.state)
    except TargetError as error:
        _log.error("%s", error)
        return 1
    return 0


def packages() -> list[str]:
    """The image's packages, without the list's comments."""
    lines = (line.strip() for line in PACKAGES.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def ensure_image(suite: str) -> str:
    """The name of the image of a Debian release, made now if it is not there."""
    recipe = "\n".join([suite, *packages(), *EXCLUDED])
    fingerprint = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    image = f"localhost/claude-flow-target:{suite}-{fingerprint}"
    if _succeeds(*PODMAN, "image", "exists", image):
        return image
    CACHE.mkdir(parents=True, exist_ok=True)
    archive = CACHE / f"{suite}-{fingerprint}.tar"
    if not archive.exists():
        for outdated in CACHE.glob(f"{suite}-*.tar*"):
            outdated.unlink()
        _bootstrap(suite, archive)
    _log.info("importing %s", image)
    _run(*PODMAN, "import", "--quiet", str(archive), image)
    return image


def _bootstrap(suite: str, archive: Path) -> None:
    _log.info("making a Debian %s root (about a minute)", suite)
    partial = archive.with_name(f"{archive.stem}.partial.tar")
    _run(
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(packages())}",
        *(f"--dpkgopt=path-exclude={path}" for path in EXCLUDED),
        # Kept, so that the role's apt task finds its lists.
        "--skip=cleanup/apt/lists",
        suite,
        str(partial),
    )
    partial.rename(archive)


def create(image: str, state: Path) -> None:
    """Start a container and wait until its systemd is up and sshd listens."""
    destroy(state)
    state.mkdir(parents=True, exist_ok=True)
    ssh_port, *ports = _free_ports(3)
    key = state / "ssh_key"
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "target", "-f", str(key))
    container = _run(
        *(*PODMAN, "create", "--systemd=always"),
        "--privileged",  # else units cannot set up their sandboxes
        "--network=host",  # the machine's own ways to package mirrors, and its loopback
        # Raising limits is refused on some machines, so name what is there.
        *("--ulimit", "nofile=16384:16384", "--ulimit", "nproc=8192:8192"),
        # As on a host, where systemd itself does it: credentials arrive by propagated mounts.
        *(image, "/bin/sh", "-c", "mount --make-rshared / && exec /sbin/init"),
    ).strip()
    (state / "container").write_text(container, encoding="utf-8")
    _furnish(container, state / "files", key.with_suffix(".pub"), ssh_port)
    for name, port in zip(("ssh_port", "port_a", "port_b"), (ssh_port, *ports), strict=True):
        (state / name).write_text(str(port), encoding="utf-8")
    _run(*PODMAN, "start", container)
    _wait_for_boot(container, ssh_port)
    _log.info("%s is up as %s, sshd on port %d", image, container[:12], ssh_port)


def _furnish(container: str, staging: Path, key: Path, ssh_port: int) -> None:
    """Put into the container what makes it reachable and able to reach out."""
    contents = {
        "etc/ssh/sshd_config.d/target.conf": SSHD.format(port=ssh_port).encode(),
        "root/.ssh/authorized_keys": key.read_bytes(),
    }
    if CERTIFICATES.exists():
        # A company's proxy may have its own authority: the target trusts what this machine does.
        contents[str(CERTIFICATES).lstrip("/")] = CERTIFICATES.read_bytes()
    for name, content in contents.items():
        path = staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    _run(*PODMAN, "cp", f"{staging}/.", f"{container}:/")


def _wait_for_boot(container: str, ssh_port: int) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        # "degraded" is up as well: a unit that a container cannot have is no fault of ours.
        state = _output(*PODMAN, "exec", container, "systemctl", "is-system-running").strip()
        if state in {"running", "degraded"} and _accepts(ssh_port):
            return
        time.sleep(0.2)
    raise TargetError(
        f"container {container[:12]} did not boot within {BOOT_SECONDS} s: "
        f"see `podman logs {container[:12]}`"
    )


def destroy(state: Path) -> None:
    """Remove the container that the state directory names, and the directory."""
    name = state / "container"
    if name.exists():
        container = name.read_text(encoding="utf-8")
        _run(*PODMAN, "rm", "--force", "--ignore", "--volumes", "--time", "5", container)
    if state.exists():
        shutil.rmtree(state)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [taken.getsockname()[1] for taken in sockets]
    finally:
        for taken in sockets:
            taken.close()


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _succeeds(*argv: str) -> bool:
    return _completed(argv).returncode == 0


def _output(*argv: str) -> str:
    return _completed(argv).stdout


def _run(*argv: str) -> str:
    done = _completed(argv)
    if done.returncode:
        raise TargetError(f"{' '.join(argv[:4])} … ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _completed(argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    if not shutil.which(argv[0]):
        raise TargetError(
            f"{argv[0]} is not installed: install the packages of tools/packages-role.txt"
        )
    return subprocess.run(argv, check=False, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main())
