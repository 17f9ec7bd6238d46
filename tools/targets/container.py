"""A target as a container: native speed, all of systemd but the limits on memory and CPU time."""

from __future__ import annotations

import logging
from pathlib import Path

from tools.targets import access
from tools.targets.commands import PODMAN, output, run

_BOOT_SECONDS = 120
_log = logging.getLogger("targets")


def create(image: str, state: Path) -> None:
    """Start a container and wait until its systemd is up and sshd listens. Raises TargetError."""
    access.prepare(state)
    container = run(
        *(*PODMAN, "create", "--systemd=always"),
        "--privileged",  # else units cannot set up their sandboxes
        "--network=host",  # the machine's own ways to package mirrors, and its loopback
        # Raising limits is refused on some machines, so name what is there.
        *("--ulimit", "nofile=16384:16384", "--ulimit", "nproc=8192:8192"),
        # As on a host, where systemd itself does it: credentials arrive by propagated mounts.
        *(image, "/bin/sh", "-c", "mount --make-rshared / && exec /sbin/init"),
    ).strip()
    _name(state).write_text(container, encoding="utf-8")
    staging = state / "files"
    access.write(access.files(state, is_on_loopback=True), staging)
    run(*PODMAN, "cp", f"{staging}/.", f"{container}:/")
    run(*PODMAN, "start", container)
    access.wait_for_boot(
        state,
        lambda: output(*PODMAN, "exec", container, "systemctl", "is-system-running"),
        seconds=_BOOT_SECONDS,
        hint=f"`podman logs {container[:12]}`",
    )
    _log.info("%s is up as %s, sshd on port %d", image, container[:12], access.port(state))


def stop(state: Path) -> Path:
    """Shut it down in order; returns where its files are. Raises TargetError."""
    container = _name(state).read_text(encoding="utf-8")
    run(*PODMAN, "stop", "--time", "120", container)
    return Path(run(*PODMAN, "mount", container).strip())


def remove(state: Path) -> None:
    """Remove the container that the state directory names, if there is one."""
    if _name(state).exists():
        container = _name(state).read_text(encoding="utf-8")
        run(*PODMAN, "rm", "--force", "--ignore", "--volumes", "--time", "5", container)
        _name(state).unlink()


def _name(state: Path) -> Path:
    return state / "container"
