"""What is in the way of a deployment on this host."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_LEAST_SYSTEMD = 252
_LEAST_DEBIAN = 12
_LEAST_PYTHON = (3, 11)
_CONNECT_SECONDS = 5.0


def all_faults(facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What is in the way on this host, one line each with what to do."""
    version, checkout = wanted["version"], wanted["plan"]["checkout_version"]
    skip = set(wanted["skip_checks"])
    found = [of_host(facts) for name, of_host in HOST_CHECKS.items() if name not in skip]
    faults = [fault for fault in found if fault]
    if facts["is_installed"]:
        return faults
    if version != checkout:
        faults.append(
            f"claude_flow_version is {version}, but that release is not installed on this host and "
            f"the checkout is {checkout}: deploy it from a checkout of its own"
        )
        return faults
    for name, of_installation in INSTALLATION_CHECKS.items():
        if name not in skip:
            faults += of_installation(wanted)
    return faults


def _os_fault(facts: Mapping[str, Any]) -> str:
    system = facts["system"]
    release = system["version"].partition(".")[0]
    if system["id"] == "debian" and (not release or int(release) >= _LEAST_DEBIAN):
        return ""  # testing and unstable have no number
    return (
        f"{system['name'] or 'this system'} is not supported: the role is made for Debian "
        f"{_LEAST_DEBIAN} and newer (claude_flow_skip_checks: [os] tries it all the same)"
    )


def _systemd_fault(facts: Mapping[str, Any]) -> str:
    version = facts["systemd_version"]
    if version is None:
        return "systemctl does not answer: the service needs a host that systemd runs"
    if version < _LEAST_SYSTEMD:
        return (
            f"systemd is {version}; the unit's sandbox needs {_LEAST_SYSTEMD} or newer "
            "(Debian 12; claude_flow_skip_checks: [systemd] tries it all the same)"
        )
    return ""


def _python_fault(facts: Mapping[str, Any]) -> str:
    version = facts["python"]
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers >= _LEAST_PYTHON:
        return ""
    return f"python3 on this host is {version or 'missing'}; claude_flow needs 3.11 or newer"


def _disk_faults(wanted: Mapping[str, Any]) -> list[str]:
    """The directories without the room that they need."""
    faults = []
    for path, least in wanted["free_bytes"].items():
        there = next(parent for parent in (Path(path), *Path(path).parents) if parent.exists())
        free = shutil.disk_usage(there).free
        if free < int(least):
            faults.append(
                f"{path}: {free // 2**20} MiB are free and {int(least) // 2**20} are needed; make "
                "room, or go on all the same with claude_flow_skip_checks: [disk]"
            )
    return faults


def _network_faults(wanted: Mapping[str, Any]) -> list[str]:
    """What cannot be connected to."""
    faults = []
    for endpoint in wanted["plan"]["endpoints"]:
        try:
            address = (endpoint["host"], int(endpoint["port"]))
            socket.create_connection(address, timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            faults.append(
                f"{endpoint['name']}: no way from this host to {endpoint['host']}:"
                f"{endpoint['port']} ({error}); if a proxy leads there, set claude_flow_proxy, or "
                "leave this check out with claude_flow_skip_checks: [network]"
            )
    return faults


# By the names that claude_flow_skip_checks has for them.
HOST_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "os": _os_fault,
    "systemd": _systemd_fault,
    "python": _python_fault,
}
INSTALLATION_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "disk": _disk_faults,
    "network": _network_faults,
}
