"""How long a second deployment takes, in plays of 20 plain file tasks."""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

_ROOT = Path(__file__).resolve().parents[2]
_FILE_TASKS = 20
_MOST_RATIO = 1.3
# What the play says of a host where there was nothing to do.
_UNCHANGED = re.compile(r"target\s*: ok=\d+\s+changed=0\s+unreachable=0\s+failed=0\s")
_CONFIGURATION = {
    "github": {
        "repositories": ["acme/greeter"],
        "api_url": "http://127.0.0.1:9",
        "git_base_url": "http://127.0.0.1:9",
    },
    "claude_flow": {"agent": "command", "command": ["/bin/true"]},
    "monitoring": {"http_port": 0},
}


def main() -> int:
    """Deploy, measure, print, and leave with 1 above the ratio that is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path, help="the state directory of tools/targets")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    inventory = write_inventory(arguments.target)
    plays = {
        "the role, nothing to do": _ROOT / "ansible" / "site.yml",
        f"{_FILE_TASKS} plain file tasks": write_file_tasks(arguments.target),
    }
    print("bench: the first deployment (some minutes)", file=sys.stderr)
    for playbook in plays.values():
        play(inventory, playbook)
    seen: dict[str, list[float]] = {name: [] for name in plays}
    for _ in range(arguments.rounds):  # in turns, so that a slow moment of the machine meets both
        for name, playbook in plays.items():
            begun = time.perf_counter()
            said = play(inventory, playbook)
            seen[name].append(time.perf_counter() - begun)
            if not _UNCHANGED.search(said):
                raise SystemExit(f"{name}: something was changed:\n{said}")
    return tell(seen)


def tell(seen: dict[str, list[float]]) -> int:
    """Print the seconds; the exit code."""
    # The best of many is what it costs; all above it is what else the machine did.
    role, files = (min(seconds) for seconds in seen.values())
    print(f"{'':<28} {'best s':>8} {'median':>8} {'ratio':>6}")
    for name, seconds in seen.items():
        best, median = min(seconds), statistics.median(seconds)
        print(f"{name:<28} {best:>8.2f} {median:>8.2f} {best / files:>6.2f}")
    if role / files > _MOST_RATIO:
        print(f"{role / files:.2f} times as long; {_MOST_RATIO:g} are promised", file=sys.stderr)
        return 1
    return 0


def write_inventory(target: Path) -> Path:
    """An inventory of the one host, with a small configuration."""
    host = {
        "ansible_host": "127.0.0.1",
        "ansible_port": int((target / "ssh_port").read_text(encoding="utf-8")),
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str((target / "ssh_key").resolve()),
        "ansible_ssh_common_args": "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
        "claude_flow_github_token": "made-up-token",
        "claude_flow_config": _CONFIGURATION,
    }
    path = target / "hosts.json"
    path.write_text(json.dumps({"claude_flow": {"hosts": {"target": host}}}), encoding="utf-8")
    return path


def write_file_tasks(target: Path) -> Path:
    """The play to measure by: directories, as the role's own play would make them."""
    tasks = [
        {
            "name": f"Make directory {number}",
            "ansible.builtin.file": {
                "path": f"/opt/plain-{number}",
                "state": "directory",
                "owner": "root",
                "group": "root",
                "mode": "0755",
            },
        }
        for number in range(_FILE_TASKS)
    ]
    play = {"hosts": "claude_flow", "become": True, "gather_facts": False, "tasks": tasks}
    path = target / "file-tasks.yml"
    path.write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
    return path


def play(inventory: Path, playbook: Path, options: Sequence[str] = ()) -> str:
    """What ansible-playbook says, from the project's root; its settings are ansible.cfg's."""
    inherited = {key: text for key, text in os.environ.items() if not key.startswith("ANSIBLE_")}
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            f"--inventory={inventory.resolve()}",
            *options,
            str(playbook.resolve()),
        ],
        check=False,
        cwd=_ROOT,
        env={**inherited, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOST_KEY_CHECKING": "False"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{playbook.name} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
