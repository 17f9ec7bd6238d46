"""What the role has to know of a host, all of it at once; changes nothing."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: claude_flow_host
short_description: Look at a host before claude_flow is deployed to it
description:
  - Reads everything that the role decides by, in one go, and changes nothing. Fails with all that
    is in the way.
options:
  paths:
    description: Files and directories of the service, by what they are.
    type: dict
    required: true
  version:
    description: The release to deploy.
    type: str
    required: true
  plan:
    description: What C(claude_flow_plan) answered.
    type: dict
    required: true
  user:
    description: The service's user and group.
    type: str
    required: true
  users:
    description: Users that there must be.
    type: list
    elements: str
    default: []
  home:
    description: Their home directory.
    type: str
    default: /
  packages:
    description: Debian packages that must be there.
    type: list
    elements: str
    default: []
  directories:
    description: Directories with C(path), C(mode), C(owner), C(group); O(user)'s by default.
    type: list
    elements: dict
    default: []
  shared:
    description: Directories that the service shares with its agents.
    type: list
    elements: str
    default: []
  shared_group:
    description: The agents' group.
    type: str
    default: root
  files:
    description: Files of root's, mode 0644, whose SHA-256 is wanted.
    type: list
    elements: str
    default: []
  links:
    description: Where symbolic links have to lead, by path.
    type: dict
    default: {}
  credentials:
    description: Names of the files that belong into the directory of the secrets.
    type: list
    elements: str
    default: []
  installing:
    description: Names of the files that belong beside what apt, pip and npm are told.
    type: list
    elements: str
    default: []
  free_bytes:
    description: How much room there must be, by directory, where something is to be installed.
    type: dict
    default: {}
  skip_checks:
    description: Checks that are left out.
    type: list
    elements: str
    default: []
  judge:
    description: Whether what is in the way matters.
    type: bool
    default: true
author: [claude_flow contributors]
"""

_LEAST_SYSTEMD = 252
_LEAST_DEBIAN = 12
_LEAST_PYTHON = (3, 11)
_CONNECT_SECONDS = 5.0
_MODE = 0o644  # of what the role writes for everybody to read


def main() -> None:
    """Look, judge, and leave with what was found or everything that is in the way."""
    names: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "dict", "required": True},
            "version": {"type": "str", "required": True},
            "plan": {"type": "dict", "required": True},
            "user": {"type": "str", "required": True},
            "users": names,
            "home": {"type": "str", "default": "/"},
            "packages": names,
            "directories": {"type": "list", "elements": "dict", "default": []},
            "shared": names,
            "shared_group": {"type": "str", "default": "root"},
            "files": names,
            "links": {"type": "dict", "default": {}},
            "credentials": names,
            "installing": names,
            "free_bytes": {"type": "dict", "default": {}},
            "skip_checks": names,
            "judge": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    facts = look(wanted)
    faults = all_faults(facts, wanted) if wanted["judge"] else []
    if faults:
        told = ["this host cannot be deployed to; nothing was changed:", *faults]
        module.exit_json(failed=True, msg=told)  # fail_json has no lists
    module.exit_json(changed=False, **facts)


def look(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The facts."""
    paths = {name: Path(path) for name, path in wanted["paths"].items()}
    plan = wanted["plan"]
    python = _said("python3", "-c", "import sys; print(sys.version.split()[0])")
    environment = f"python={python} requirements={plan['requirements']}"
    found, mark = _text(paths["mark"]), f"{environment} wheel={plan['wheel']}\n"
    # An older release is taken as it is.
    older = wanted["version"] != plan["checkout_version"]
    own = {"owner": wanted["user"], "group": wanted["user"]}
    shared = {"owner": wanted["user"], "group": wanted["shared_group"], "mode": "2700"}
    directories = [{**own, **item} for item in wanted["directories"]]
    return {
        "system": os_release(_text(Path("/etc/os-release"))),
        "systemd_version": systemd_version(_said("systemctl", "--version")),
        "python": python,
        "mark": mark,
        "is_installed": bool(found) if older else found == mark,
        "keeps_environment": found.startswith(f"{environment} "),
        "unit_exists": paths["unit"].exists(),
        "dropin_exists": paths["dropin"].exists(),
        "restart_keys": restart_keys(_text(paths["config"]), plan["restart_values"]),
        "has_node": all(shutil.which(name) for name in ("node", "npm")),
        "agents_installed": has_agents(agents(paths["agents"]), plan["agents"]),
        "missing_packages": missing_packages(wanted["packages"]),
        "unfit_users": [name for name in wanted["users"] if not is_user(name, wanted["home"])],
        "unfit_directories": [item for item in directories if not is_fit(item)],
        "unfit_shared": [path for path in wanted["shared"] if not is_fit({"path": path, **shared})],
        "digests": {path: digest(Path(path)) for path in wanted["files"]},
        "unfit_links": [
            {"path": path, "target": target}
            for path, target in wanted["links"].items()
            if not (Path(path).is_symlink() and str(Path(path).readlink()) == target)
        ],
        "outdated_credentials": outdated(paths["credentials"], wanted["credentials"]),
        "outdated_installing": outdated(paths["installing"], wanted["installing"]),
        "newer_than_service": newer(
            [paths[name] for name in ("unit", "credentials", "current", "mark")], paths["address"]
        ),
    }


def all_faults(facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What is in the way on this host, one line each with what to do."""
    skip, version = wanted["skip_checks"], wanted["version"]
    checkout = wanted["plan"]["checkout_version"]
    faults = judge(facts, skip=skip)
    if facts["is_installed"]:
        return faults
    if version != checkout:
        faults.append(
            f"claude_flow_version is {version}, but that release is not installed on this host and "
            f"the checkout is {checkout}: deploy it from a checkout of its own"
        )
        return faults
    if "disk" not in skip:
        faults += disk_faults(wanted["free_bytes"])
    if "network" not in skip:
        faults += network_faults(wanted["plan"]["endpoints"])
    return faults


def judge(facts: Mapping[str, Any], *, skip: Iterable[str] = ()) -> list[str]:
    """What is in the way of any release on this host."""
    found = {
        "os": _os_fault(facts["system"]),
        "systemd": _systemd_fault(facts["systemd_version"]),
        "python": _python_fault(facts["python"]),
    }
    skipped = set(skip)
    return [fault for check, fault in found.items() if fault and check not in skipped]


def _os_fault(system: Mapping[str, str]) -> str:
    release = system["version"].partition(".")[0]
    if system["id"] == "debian" and (not release or int(release) >= _LEAST_DEBIAN):
        return ""  # testing and unstable have no number
    return (
        f"{system['name'] or 'this system'} is not supported: the role is made for Debian "
        f"{_LEAST_DEBIAN} and newer (claude_flow_skip_checks: [os] tries it all the same)"
    )


def _systemd_fault(version: int | None) -> str:
    if version is None:
        return "systemctl does not answer: the service needs a host that systemd runs"
    if version < _LEAST_SYSTEMD:
        return (
            f"systemd is {version}; the unit's sandbox needs {_LEAST_SYSTEMD} or newer "
            "(Debian 12; claude_flow_skip_checks: [systemd] tries it all the same)"
        )
    return ""


def _python_fault(version: str) -> str:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers >= _LEAST_PYTHON:
        return ""
    return f"python3 on this host is {version or 'missing'}; claude_flow needs 3.11 or newer"


def disk_faults(needed: Mapping[str, int]) -> list[str]:
    """The directories without the room that they need."""
    faults = []
    for path, least in needed.items():
        there = next(parent for parent in (Path(path), *Path(path).parents) if parent.exists())
        free = shutil.disk_usage(there).free
        if free < int(least):
            faults.append(
                f"{path}: {free // 2**20} MiB are free and {int(least) // 2**20} are needed; make "
                "room, or go on all the same with claude_flow_skip_checks: [disk]"
            )
    return faults


def network_faults(endpoints: Iterable[Mapping[str, Any]]) -> list[str]:
    """What cannot be connected to."""
    faults = []
    for endpoint in endpoints:
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


def os_release(text: str) -> dict[str, str]:
    """Which system it is, by os-release(5)."""
    pairs = (line.partition("=") for line in text.splitlines())
    values = {name: value.strip("\"'") for name, equals, value in pairs if equals}
    return {
        "id": values.get("ID", ""),
        "version": values.get("VERSION_ID", ""),
        "name": values.get("PRETTY_NAME", ""),
    }


def systemd_version(said: str) -> int | None:
    """The number in ``systemctl --version``."""
    words = said.split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else None


def agents(prefix: Path) -> dict[str, str]:
    """The releases of the agents' programs, by npm package."""
    packages = prefix / "node_modules"
    found = {}
    for manifest in [
        packages / "claude-flow" / "package.json",
        *packages.glob("@anthropic-ai/claude-code-linux-*/package.json"),
    ]:
        try:
            found[str(manifest.parent.relative_to(packages))] = json.loads(_text(manifest))[
                "version"
            ]
        except (ValueError, KeyError):
            continue  # not there, or half there: npm has to see to it
    return found


def has_agents(found: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether each wanted program is there in its release; packages have more in their names."""
    return all(
        any(name in package and version == there for package, there in found.items())
        for name, version in wanted.items()
    )


def restart_keys(before: str, values: Mapping[str, Any]) -> list[str]:
    """The settings that differ from the text of the old file and only apply after a restart."""
    try:
        old = json.loads(before or "{}")
    except ValueError:
        old = {}
    return [key for key, (now, default) in values.items() if _at(old, key, default) != now]


def missing_packages(names: list[str]) -> list[str]:
    """Those that dpkg does not call installed."""
    if not names:
        return []
    said = _said("dpkg-query", "-W", "-f=${db:Status-Abbrev} ${Package}\n", *names)
    there = {line.split()[-1] for line in said.splitlines() if line.startswith("ii")}
    return [name for name in names if name not in there]


def is_user(name: str, home: str) -> bool:
    """Whether a user is there that has this home and cannot log in."""
    try:
        user, group = pwd.getpwnam(name), grp.getgrnam(name)
    except KeyError:
        return False
    return (user.pw_dir, user.pw_shell, user.pw_gid) == (home, "/usr/sbin/nologin", group.gr_gid)


def is_fit(wanted: Mapping[str, str]) -> bool:
    """Whether a directory is there with its owner, group and mode."""
    try:
        seen = os.lstat(wanted["path"])
        owner, group = pwd.getpwnam(wanted["owner"]), grp.getgrnam(wanted["group"])
    except (OSError, KeyError):
        return False
    return (
        stat.S_ISDIR(seen.st_mode)
        and stat.S_IMODE(seen.st_mode) == int(wanted["mode"], 8)
        and (seen.st_uid, seen.st_gid) == (owner.pw_uid, group.gr_gid)
    )


def digest(path: Path) -> str:
    """The SHA-256 of a file's content; none where it is not root's with mode 0644."""
    try:
        seen = path.lstat()
        content = path.read_bytes()
    except OSError:
        return ""
    fit = stat.S_ISREG(seen.st_mode) and stat.S_IMODE(seen.st_mode) == _MODE
    return hashlib.sha256(content).hexdigest() if fit and seen.st_uid == seen.st_gid == 0 else ""


def outdated(directory: Path, wanted: Iterable[str]) -> list[str]:
    """The secrets that nothing asks for any longer."""
    keep = set(wanted)
    there = directory.iterdir() if directory.is_dir() else ()
    return sorted(str(path) for path in there if path.name not in keep and path.is_file())


def newer(paths: Iterable[Path], reference: Path) -> list[str]:
    """What was changed after a file was; nothing if that file is not there."""
    try:
        since = reference.stat().st_mtime_ns
    except FileNotFoundError:
        return []
    everything = [path for top in paths for path in (top, *_within(top))]
    return sorted(
        str(path)
        for path in everything
        if os.path.lexists(path) and path.lstat().st_mtime_ns > since
    )


def _at(document: Any, key: str, default: Any) -> Any:
    for name in key.split("."):
        if not isinstance(document, dict) or name not in document:
            return default
        document = document[name]
    return document


def _within(top: Path) -> Iterable[Path]:
    return top.iterdir() if top.is_dir() and not top.is_symlink() else ()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _said(*argv: str) -> str:
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


if __name__ == "__main__":
    main()
