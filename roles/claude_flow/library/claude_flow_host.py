"""What the role has to know of a host, all of it at once; changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

try:
    from ansible.module_utils.claude_flow_look import (
        agents,
        faults,
        reading,
        releases,
        state,
        system,
    )
except ImportError:  # in a collection
    from ansible_collections.claude_flow.claude_flow.plugins.module_utils.claude_flow_look import (
        agents,
        faults,
        reading,
        releases,
        state,
        system,
    )

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
  keep_releases:
    description: How many releases stay on the host, the current one and the one before among them.
    type: int
    default: 3
  judge:
    description: Whether what is in the way matters.
    type: bool
    default: true
author: [claude_flow contributors]
"""


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
            "keep_releases": {"type": "int", "default": 3},
            "judge": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    facts = look(wanted)
    found = faults.all_faults(facts, wanted) if wanted["judge"] else []
    if found:
        told = ["this host cannot be deployed to; nothing was changed:", *found]
        module.exit_json(failed=True, msg=told)  # fail_json has no lists
    module.exit_json(changed=False, **facts)


def look(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The facts."""
    paths = {name: Path(path) for name, path in wanted["paths"].items()}
    plan = wanted["plan"]
    python = reading.said("python3", "-c", "import sys; print(sys.version.split()[0])")
    environment = f"python={python} requirements={plan['requirements']}"
    found, mark = reading.text(paths["mark"]), f"{environment} wheel={plan['wheel']}\n"
    # An older release is taken as it is.
    older = wanted["version"] != plan["checkout_version"]
    own = {"owner": wanted["user"], "group": wanted["user"]}
    shared = {"owner": wanted["user"], "group": wanted["shared_group"], "mode": "2700"}
    directories = [{**own, **item} for item in wanted["directories"]]
    current = releases.linked(paths["current"])
    # Where the current one stays, it is the link that knows what came before it.
    is_move = current not in ("", wanted["version"])
    before = current if is_move else releases.linked(paths["previous"])
    return {
        "system": system.os_release(reading.text(Path("/etc/os-release"))),
        "systemd_version": system.systemd_version(reading.said("systemctl", "--version")),
        "python": python,
        "mark": mark,
        "is_installed": bool(found) if older else found == mark,
        "keeps_environment": found.startswith(f"{environment} "),
        "unit_exists": paths["unit"].exists(),
        "dropin_exists": paths["dropin"].exists(),
        "restart_keys": state.restart_keys(reading.text(paths["config"]), plan["restart_values"]),
        "has_node": all(shutil.which(name) for name in ("node", "npm")),
        "agents_installed": agents.has_agents(agents.agents(paths["agents"]), plan["agents"]),
        "missing_packages": system.missing_packages(wanted["packages"]),
        "unfit_users": [
            name for name in wanted["users"] if not state.is_user(name, wanted["home"])
        ],
        "unfit_directories": [item for item in directories if not state.is_fit(item)],
        "unfit_shared": [
            path for path in wanted["shared"] if not state.is_fit({"path": path, **shared})
        ],
        "digests": {path: state.digest(Path(path)) for path in wanted["files"]},
        "unfit_links": [
            {"path": path, "target": target}
            for path, target in wanted["links"].items()
            if not (Path(path).is_symlink() and str(Path(path).readlink()) == target)
        ],
        "outdated_credentials": state.outdated(paths["credentials"], wanted["credentials"]),
        "outdated_installing": state.outdated(paths["installing"], wanted["installing"]),
        "release_before": before if is_move else "",
        "unwanted_releases": releases.unwanted(
            releases.installed(paths["releases"]),
            keep=wanted["keep_releases"],
            current=wanted["version"],
            before=before,
            used=releases.in_use(paths["releases"]),
        ),
        "newer_than_service": state.newer(
            [paths[name] for name in ("unit", "credentials", "current", "mark")], paths["address"]
        ),
    }


if __name__ == "__main__":
    main()
