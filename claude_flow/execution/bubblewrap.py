"""The call of bubblewrap for one attempt: what of the host is there, and how.

An attempt sees only what is named here, and no process but its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Directories of the system's programs; where they are links into /usr, links they stay.
SYSTEM_DIRECTORIES = tuple(
    map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"))
)
# Of /etc only what programs need in order to start, to find users, hosts and certificates:
# the rest is other services' configuration, with their secrets.
SYSTEM_FILES = tuple(
    Path("/etc", name)
    for name in (
        *("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld.so.preload"),
        *("passwd", "group", "nsswitch.conf", "host.conf", "hosts", "hostname", "resolv.conf"),
        *("gai.conf", "services", "protocols", "rpc", "networks", "mime.types", "magic"),
        *("ssl/certs", "ssl/openssl.cnf", "ca-certificates", "ca-certificates.conf"),
        *("pki/ca-trust", "pki/tls/certs", "crypto-policies"),
        *("localtime", "timezone", "locale.alias", "locale.conf", "default/locale"),
        *("os-release", "debian_version", "lsb-release"),
        *("bash.bashrc", "profile", "profile.d", "inputrc", "terminfo"),
        *("fonts", "python3", "perl", "maven", "gradle"),
    )
) + tuple(
    # Debian's Java reads its settings from there; their names have a version.
    Path("/etc", f"java-{version}-openjdk")
    for version in (11, 17, 21, 25)
)
_PRIVATE_DIRECTORIES = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - made anew for each attempt

# The monitor that bubblewrap leaves outside must live until the agent has ended: on SIGTERM
# it would go first, and the kernel would kill the agent before it could write its last words.
_DEAF = ("--ignore-signal=TERM",)
# bubblewrap adds PWD, which is in no allow-list; shells make one of their own.
_HEARING = ("--default-signal=TERM", "--unset=PWD")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one attempt sees beside the system's directories; later kinds lie over earlier ones.

    ``shared_read`` and ``shared_write`` are the host's, ``hidden`` the service's own,
    ``readable`` and ``writable`` the attempt's. All are there. ``door`` is a program that is
    started before the attempt's, and becomes it.
    """

    workspace: Path
    shared_read: tuple[Path, ...] = ()
    shared_write: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    has_network: bool = True
    door: tuple[str, ...] = ()


def wrapped(bwrap: str, env: str, view: View, argv: Iterable[str]) -> tuple[str, ...]:
    """``argv`` inside the sandbox. ``bwrap`` and coreutils' ``env`` are the programs' paths."""
    return (
        *(env, *_DEAF),
        *(bwrap, *_options(view), "--"),
        *view.door,
        *(env, *_HEARING),
        *argv,
    )


def _options(view: View) -> Iterable[str]:
    shared = (*SYSTEM_DIRECTORIES, *SYSTEM_FILES, *view.shared_read, *view.shared_write)
    covered = [path for path in view.hidden if any(path.is_relative_to(place) for place in shared)]
    yield from ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts")
    yield from ("--unshare-cgroup-try",)
    if not view.has_network:
        yield "--unshare-net"
    # Even where the service runs as root, an attempt has no rights beyond files of its own.
    yield from ("--cap-drop", "ALL", "--die-with-parent")
    yield from _system()
    yield from _bind("--ro-bind", *view.shared_read)
    yield from _bind("--bind", *view.shared_write)
    for path in covered:
        yield from _cover(path)
    yield from _bind("--ro-bind", *view.readable)
    yield from _bind("--bind", *view.writable)
    # Only now: until here there were places to be made in them.
    for path in (Path("/"), *covered):
        if path.is_dir():
            yield from ("--remount-ro", str(path))
    yield from ("--chdir", str(view.workspace))


def _system() -> Iterable[str]:
    for directory in SYSTEM_DIRECTORIES:
        if directory.is_symlink():
            yield from ("--symlink", str(directory.readlink()), str(directory))
        elif directory.exists():
            yield from _bind("--ro-bind", directory)
    yield from _bind("--ro-bind", *(path for path in SYSTEM_FILES if path.exists()))
    # Of the kernel's settings those that belong to root could be changed by root without rights.
    yield from ("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev")
    for directory in _PRIVATE_DIRECTORIES:
        yield from ("--perms", "1777", "--tmpfs", str(directory))


def _bind(option: str, *paths: Path) -> Iterable[str]:
    for path in paths:
        yield from (option, str(path), str(path))


def _cover(path: Path) -> tuple[str, ...]:
    if path.is_dir():
        return ("--tmpfs", str(path))
    return ("--ro-bind", "/dev/null", str(path))
