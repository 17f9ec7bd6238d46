"""The checkout as a collection, as an operator builds, installs and uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import yaml

from claude_flow.version import __version__

ROOT = Path(__file__).resolve().parents[2]


def _run(program: str, *arguments: str, directory: Path, **variables: str) -> tuple[int, str]:
    inherited = {key: text for key, text in os.environ.items() if not key.startswith("ANSIBLE_")}
    done = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *arguments],
        check=False,
        cwd=directory,
        env={**inherited, "ANSIBLE_NOCOLOR": "1", **variables},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_collection_holds_what_it_deploys_and_is_used_by_its_full_name(tmp_path: Path) -> None:
    code, said = _run(
        "ansible-galaxy", "collection", "build", "--output-path", str(tmp_path), directory=ROOT
    )
    assert code == 0, said
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = set(opened.getnames())
    assert names >= {
        "ansible/site.yml",
        "claude_flow/version.py",
        "playbooks/site.yml",
        "plugins/action",
        "plugins/module_utils",
        "plugins/modules",
        "requirements/runtime.txt",
        "roles/claude_flow/action_plugins/claude_flow_plan.py",
        "schemas/config.schema.json",
        "tools/build_wheel.py",
        "tools/install_agents.py",
    }
    assert not any(name.startswith(("tests", "molecule", ".")) for name in names)

    place = tmp_path / "collections"
    arguments = ["collection", "install", "--offline", "--force", "-p", str(place), str(archive)]
    code, said = _run("ansible-galaxy", *arguments, directory=tmp_path)
    assert code == 0, said
    faulty = {"claude_flow_config": {"github": {"repositories": ["octo/widgets"], "pol": 1}}}
    said = _preview(tmp_path, place, faulty)
    assert "claude_flow.claude_flow.claude_flow : Check what was given" in said
    assert "github.pol: no such setting" in said
    # As far as the host, too, whatever that is: no host has this release.
    valid = {
        "claude_flow_config": {"github": {"repositories": ["octo/widgets"]}},
        "claude_flow_github_token": "made-up",
        "claude_flow_version": "0.0.0",
    }
    said = _preview(tmp_path, place, valid)
    assert "this host cannot be deployed to; nothing was changed:" in said
    assert "claude_flow_version is 0.0.0, but that release is not installed" in said


def _preview(directory: Path, collections: Path, variables: dict[str, Any]) -> str:
    host = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        **variables,
    }
    inventory = directory / "hosts.json"
    inventory.write_text(json.dumps({"claude_flow": {"hosts": {"here": host}}}), encoding="utf-8")
    code, said = _run(
        *("ansible-playbook", "--check", "-i", str(inventory), "claude_flow.claude_flow.site"),
        directory=directory,
        ANSIBLE_COLLECTIONS_PATH=str(collections),
    )
    assert code == 2, said
    assert "changed=0" in said
    return said


def test_collections_version_is_the_releases() -> None:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    assert galaxy["version"] == __version__
