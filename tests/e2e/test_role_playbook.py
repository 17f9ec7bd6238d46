"""The playbook, as an operator starts it, as far as it goes without a host to change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Preview = Callable[..., str]

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "ghp_" + "a1B2" * 9


def _play(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    # An operator's settings, such as an inventory of their own, are not the project's.
    inherited = {key: text for key, text in os.environ.items() if not key.startswith("ANSIBLE_")}
    return subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), *arguments],
        check=False,
        cwd=directory,
        env={**inherited, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("directory", "playbook"), [(".", "ansible/site.yml"), ("ansible", "site.yml")]
)
def test_playbook_finds_role_and_hosts_from_both_places(directory: str, playbook: str) -> None:
    done = _play("--list-tasks", "--list-hosts", playbook, directory=ROOT / directory)
    assert done.returncode == 0, done.stderr
    assert "claude_flow : Take claude-flow away" in done.stdout
    assert "localhost" in done.stdout


@pytest.fixture
def preview(tmp_path: Path) -> Preview:
    """A preview of a deployment to this machine with the given variables, told at length."""

    def run(**variables: Any) -> str:
        # In a file, as with ansible-vault: a command line is nobody's secret.
        path = tmp_path / "variables.json"
        path.write_text(json.dumps({"ansible_become": False, **variables}), encoding="utf-8")
        arguments = ["-vvvv", "--check", "--extra-vars", f"@{path}", "ansible/site.yml"]
        done = _play(*arguments, directory=ROOT)
        said = done.stdout + done.stderr
        assert done.returncode == 2, said
        assert "changed=0" in said
        return said

    return run


def test_invalid_configuration_is_refused_before_the_host_is_touched(preview: Preview) -> None:
    said = preview(
        claude_flow_github_token=TOKEN,
        claude_flow_config={
            "github": {"repositories": ["nonsense"], "pol_interval_seconds": 1},
            "service": {"log_level": "LOUD"},
        },
    )
    assert "claude_flow_config is invalid; nothing was changed:" in said
    assert "did you mean github.poll_interval_seconds?" in said
    assert "github.repositories.0" in said
    assert "service.log_level: 'LOUD' is not one of" in said
    assert TOKEN not in said


def test_variable_that_was_meant_to_be_another_is_refused(preview: Preview) -> None:
    said = preview(
        claude_flow_github_tokn=TOKEN,
        claude_flow_config={"github": {"repositories": ["octo/widgets"]}},
    )
    assert "claude_flow_github_tokn: no variable of the role; did you mean" in said


def test_unknown_secret_is_refused_without_showing_it(preview: Preview) -> None:
    said = preview(
        claude_flow_credentials={"githubtoken": TOKEN},
        claude_flow_config={"github": {"repositories": ["octo/widgets"]}},
    )
    assert "names the service does not know: githubtoken; it knows database-url, " in said
    assert TOKEN not in said


def test_release_that_is_not_there_is_refused_on_the_host(preview: Preview) -> None:
    said = preview(
        claude_flow_github_token=TOKEN,
        claude_flow_version="0.0.0",
        claude_flow_config={"github": {"repositories": ["octo/widgets"]}},
    )
    assert "claude_flow_version is 0.0.0, but that release is not installed on this host" in said
    assert TOKEN not in said


def test_passwords_of_the_proxy_and_the_mirrors_are_not_shown(preview: Preview) -> None:
    said = preview(
        claude_flow_github_token=TOKEN,
        claude_flow_config={"github": {"repositories": ["octo/widgets"]}},
        claude_flow_proxy="http://builder:password-of-the-proxy@proxy.invalid:3128",
        claude_flow_pip_config={"index-url": "https://me:password-of-pip@python.example.org/"},
        claude_flow_npm_config={"//npm.example.org/:_authToken": "password-of-npm"},
    )
    # The proxy was looked at: nobody has a name that ends so.
    assert "claude_flow_proxy: no way from this host to proxy.invalid:3128 " in said
    assert "password-of" not in said


@pytest.mark.parametrize(
    ("databases", "is_shared"), [(["db1", "db1"], True), (["db1", "db2"], False)]
)
def test_hosts_share_a_database_whose_address_is_another_hosts(
    tmp_path: Path, databases: list[str], *, is_shared: bool
) -> None:
    def host(database: str) -> dict[str, Any]:
        return {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
            "claude_flow_config": {"github": {"repositories": ["octo/widgets"]}},
            "claude_flow_github_token": TOKEN,
            "claude_flow_database_url": (
                f"postgresql://me:hunter2@{{{{ hostvars['{database}'].ansible_host }}}}/runs"
            ),
            "claude_flow_version": "0.0.0",
        }

    inventory = tmp_path / "hosts.json"
    servers = {"db1": {"ansible_host": "192.0.2.1"}, "db2": {"ansible_host": "192.0.2.2"}}
    builders = {f"builder{number}": host(name) for number, name in enumerate(databases)}
    groups = {"db": {"hosts": servers}, "claude_flow": {"hosts": builders}}
    inventory.write_text(json.dumps(groups), encoding="utf-8")
    done = _play("-vvvv", "--check", f"--inventory={inventory}", "ansible/site.yml", directory=ROOT)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert ("would be worked on by builder0 and builder1" in said) is not is_shared
    assert ("that release is not installed on this host" in said) is is_shared
    assert "hunter2" not in said
