from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from claude_flow.cli.doctor import doctor
from claude_flow.cli.session import Session


def graded(findings: list[dict[str, Any]], grade: str) -> dict[str, str]:
    return {item["check"]: item["text"] for item in findings if item["status"] == grade}


def test_a_host_that_is_well(running: Any) -> None:
    running.fine("enable")
    findings = running.json("doctor")["findings"]
    assert graded(findings, "fail") == {}
    passed = graded(findings, "ok")
    subjects = {"configuration", "credentials", "git", "agent", "state", "disk", "database"}
    assert subjects | {"clock", "rate", "github", "systemd"} <= set(passed)
    assert [item["text"] for item in findings if item["check"] == "github"] == [
        "acme/greeter can be read and pushed to",
        "acme/slow can be read and pushed to",
    ]
    assert any(item["check"] == "sandbox" for item in findings)
    assert all(item["hint"] for item in findings if item["status"] != "ok"), "each with its mend"
    assert any(item["check"] == "health" and item["status"] != "fail" for item in findings)


def test_every_fault_is_found_at_once_with_what_to_do(host: Any) -> None:
    host.configure(
        github={"token": "ghp_" + "0" * 36, "repositories": ["acme/greeter"]},
        claude_flow={"command": ["/nowhere/agent"]},
    )
    done = host.ctl("doctor")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    failed = {line.split()[1] for line in lines if line.startswith("fail")}
    assert failed == {"agent:", "github:", "systemd:", "health:"}
    hints = [line for line in lines if line.lstrip().startswith("->")]
    assert len(hints) >= len(failed)
    assert "ghp_0" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_repository_that_does_not_exist_is_named(host: Any) -> None:
    host.configure(github={"repositories": ["acme/greeter", "acme/missing"]})
    done = host.ctl("doctor")
    assert done.returncode == 1
    [line] = [line for line in done.stdout.splitlines() if "acme/missing" in line]
    assert line.startswith("fail")


def test_a_configuration_that_others_can_change_is_named_with_its_mend(host: Any) -> None:
    host.config_path.chmod(0o620)
    try:
        done = host.ctl("doctor")
    finally:
        host.config_path.chmod(0o600)
    assert done.returncode == 1
    assert f"{host.config_path} can be changed by others" in done.stdout
    assert f"chmod go-w {host.config_path}" in done.stdout


def test_it_asks_github_with_the_daemons_credential(
    running: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = json.loads(running.config_path.read_text())["github"]["token"]
    credential = tmp_path / "github-token"
    credential.touch(0o600)
    credential.write_text(token)
    running.configure(github={"token": None})
    doctor(
        Session(running.config_path, running.environ), as_json=True, credentials_directory=tmp_path
    )
    told = capsys.readouterr().out
    assert "acme/greeter can be read and pushed to" in told
    assert token not in told


def test_a_configuration_without_repositories_is_78(host: Any) -> None:
    host.configure(github={"repositories": []})
    assert host.ctl("doctor").returncode == 78


def test_an_app_says_who_it_is_and_what_it_may_not_do(host: Any) -> None:
    app = host.world.github.install_app("acme", permissions={"contents": "write"})
    key_file = host.config_path.with_name("github-app.pem")
    key_file.touch(0o600)
    key_file.write_text(app.private_key)
    named = {
        "id": app.id,
        "installation_id": app.installation_id,
        "private_key_file": str(key_file),
    }
    host.configure(github={"token": None, "app": named})
    done = host.ctl("doctor")
    told = [line for line in done.stdout.splitlines() if line.split()[1] == "github:"]
    assert told[0].startswith("fail  github: acting as claude-flow-app[bot], which may not")
    assert told[0].endswith("it lacks issues: write, pull_requests: write")
    assert told[1:] == [
        "ok    github: acme/greeter can be read",
        "ok    github: acme/slow can be read",
    ]

    app.is_installed = False
    done = host.ctl("doctor")
    assert done.returncode == 1
    assert "there is no such installation: check github.app.installation_id" in done.stdout
    assert "PRIVATE KEY" not in done.stdout + done.stderr
