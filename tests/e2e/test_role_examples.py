"""Each example of ansible/examples, laid over ansible/ and encrypted as its text says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path for path in (ROOT / "ansible" / "examples").iterdir() if path.is_dir())
# This machine stands for the example's hosts: what they are like is not the example's matter.
LOCAL = (
    '{"ansible_connection": "local", '
    '"claude_flow_skip_checks": ["os", "systemd", "python", "disk", "network"]}'
)
CHECK = """\
- hosts: claude_flow
  gather_facts: false
  tasks:
    - ansible.builtin.validate_argument_spec:
        argument_spec: "{{ (lookup('ansible.builtin.file', path) | from_yaml)
          .argument_specs.main.options }}"
      vars:
        path: "{{ playbook_dir }}/../roles/claude_flow/meta/argument_specs.yml"
    - ansible.builtin.include_role:
        name: claude_flow
        tasks_from: preflight.yml
"""


def _run(directory: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: text for key, text in os.environ.items() if not key.startswith("ANSIBLE_")}
    password = directory / "vault-password"
    password.write_text("a made-up password\n", encoding="utf-8")
    return subprocess.run(
        [
            str(Path(sys.executable).with_name(program)),
            *arguments,
            f"--vault-password-file={password}",
        ],
        check=False,
        cwd=directory / "ansible",
        env={**inherited, "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
    )


def _lay_out(example: Path, checkout: Path) -> Path:
    """The operator's ``ansible/`` with the example over it, its secrets encrypted."""
    ansible = checkout / "ansible"
    shutil.copytree(
        ROOT / "ansible", ansible, ignore=shutil.ignore_patterns("examples", "vault.yml")
    )
    (checkout / "roles").symlink_to(ROOT / "roles")
    shutil.copytree(example, ansible, dirs_exist_ok=True)
    secrets = [*ansible.rglob("vault.yml")]
    if example.name == "github-app":
        secrets.append(_app_key(ansible / "my-app.private-key.pem"))
    done = _run(checkout, "ansible-vault", "encrypt", *map(str, secrets))
    assert done.returncode == 0, done.stderr
    return ansible


def _app_key(path: Path) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.name))
def test_example_passes_all_that_the_role_checks_of_it(example: Path, tmp_path: Path) -> None:
    ansible = _lay_out(example, tmp_path)
    (ansible / "check.yml").write_text(CHECK, encoding="utf-8")
    done = _run(tmp_path, "ansible-playbook", "--check", "-e", LOCAL, "check.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    hosts = yaml.safe_load((example / "inventory" / "hosts.yml").read_text(encoding="utf-8"))
    told = set(re.findall(r"^(\S+) +: ok=\d+ .*failed=0", done.stdout, re.MULTILINE))
    assert told == set(hosts["claude_flow"]["hosts"])


def test_every_example_is_in_the_list_of_them() -> None:
    text = (ROOT / "ansible" / "examples" / "README.md").read_text(encoding="utf-8")
    assert EXAMPLES
    listed = re.findall(r"^\| \[(.+?)\]\(\1\)", text, re.MULTILINE)
    assert sorted(listed) == [path.name for path in EXAMPLES]
