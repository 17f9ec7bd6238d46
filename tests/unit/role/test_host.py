"""What the role finds out about a host, and what is in its way there."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.unit.role.loading import load

host = load("library/claude_flow_host.py")
FINE: dict[str, Any] = {
    "system": {"id": "debian", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)"},
    "systemd_version": 252,
    "python": "3.11.2",
    "is_installed": False,
}
PLAN: dict[str, Any] = {"checkout_version": "0.2.0", "endpoints": []}
WANTED: dict[str, Any] = {"version": "0.2.0", "plan": PLAN, "skip_checks": [], "free_bytes": {}}
FEDORA = {"id": "fedora", "version": "40", "name": "Fedora Linux 40"}


def test_a_fitting_host_has_nothing_in_the_way() -> None:
    assert host.faults.all_faults(FINE, WANTED) == []


@pytest.mark.parametrize(
    ("facts", "check", "fault"),
    [
        ({"system": FEDORA}, "os", "Fedora Linux 40 is not supported: "),
        ({"system": {**FINE["system"], "version": "11"}}, "os", "Debian GNU/Linux 12 (bookworm) "),
        ({"systemd_version": 247}, "systemd", "systemd is 247; the unit's sandbox needs 252"),
        ({"systemd_version": None}, "systemd", "systemctl does not answer: "),
        ({"python": "3.9.2"}, "python", "python3 on this host is 3.9.2; "),
        ({"python": ""}, "python", "python3 on this host is missing; "),
    ],
)
def test_what_is_in_the_way_is_named_and_can_be_left_out(
    facts: dict[str, Any], check: str, fault: str
) -> None:
    (found,) = host.faults.all_faults({**FINE, **facts}, WANTED)
    assert found.startswith(fault)
    assert host.faults.all_faults({**FINE, **facts}, {**WANTED, "skip_checks": [check]}) == []


def test_debians_testing_has_no_number() -> None:
    system = {"id": "debian", "version": "", "name": "Debian GNU/Linux forky/sid"}
    assert host.faults.all_faults({**FINE, "system": system}, WANTED) == []


def test_a_full_disk_is_in_the_way_only_of_an_installation(tmp_path: Path) -> None:
    path = str(tmp_path / "not" / "there" / "yet")
    wanted = {**WANTED, "free_bytes": {path: 2**60}}
    (fault,) = host.faults.all_faults(FINE, wanted)
    assert fault.startswith(f"{path}: ")
    assert host.faults.all_faults({**FINE, "is_installed": True}, wanted) == []
    assert host.faults.all_faults(FINE, {**wanted, "skip_checks": ["disk"]}) == []


def test_what_is_out_of_reach_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = {"name": "github.api_url", "host": "127.0.0.1", "port": server.getsockname()[1]}
        wanted = {**WANTED, "plan": {**PLAN, "endpoints": [endpoint]}}
        assert host.faults.all_faults(FINE, wanted) == []
    (fault,) = host.faults.all_faults(FINE, wanted)
    assert fault.startswith(
        f"github.api_url: no way from this host to 127.0.0.1:{endpoint['port']}"
    )
    assert host.faults.all_faults(FINE, {**wanted, "skip_checks": ["network"]}) == []


def test_only_an_installed_release_can_be_gone_back_to() -> None:
    wanted = {**WANTED, "version": "0.1.0"}
    (fault,) = host.faults.all_faults(FINE, wanted)
    assert "that release is not installed on this host and the checkout is 0.2.0" in fault
    assert host.faults.all_faults({**FINE, "is_installed": True}, wanted) == []


def test_the_system_is_read_from_its_own_file() -> None:
    text = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n\n# more\n'
    assert host.system.os_release(text) == {
        "id": "debian",
        "version": "13",
        "name": "Debian GNU/Linux 13 (trixie)",
    }


@pytest.mark.parametrize(("said", "version"), [("systemd 257 (257.7-1)\n+PAM", 257), ("", None)])
def test_systemds_version_is_a_number(said: str, version: int | None) -> None:
    assert host.system.systemd_version(said) == version


def test_a_file_counts_as_written_only_with_its_content(tmp_path: Path) -> None:
    assert host.state.digest(tmp_path / "none") == ""
    path = tmp_path / "unit"
    path.write_text("x", encoding="utf-8")
    path.chmod(0o600)
    assert host.state.digest(path) == ""


def test_what_was_changed_behind_a_running_service_is_found(tmp_path: Path) -> None:
    address, unit, credentials = (tmp_path / name for name in ("address", "unit", "credentials"))
    unit.touch()
    assert host.state.newer([unit], address) == []  # it does not run
    credentials.mkdir()
    (credentials / "token").touch()
    address.touch()
    for path, seconds in ((address, 100), (unit, 50), (credentials, 50)):
        os.utime(path, (seconds, seconds))
    os.utime(credentials / "token", (150, 150))
    assert host.state.newer([unit, credentials], address) == [str(credentials / "token")]


def test_secrets_that_nothing_asks_for_are_outdated(tmp_path: Path) -> None:
    for name in ("github-token", "environment", ".hidden", "database-url"):
        (tmp_path / name).touch()
    found = host.state.outdated(tmp_path, ["github-token", "environment"])
    assert found == [str(tmp_path / ".hidden"), str(tmp_path / "database-url")]
    assert host.state.outdated(tmp_path / "none", []) == []


def test_agents_are_there_in_the_wanted_release_only() -> None:
    found = {"claude-flow": "3.43.0", "@anthropic-ai/claude-code-linux-x64": "2.1.0"}
    assert host.agents.has_agents(found, {"claude-flow": "3.43.0", "claude-code": "2.1.0"})
    assert not host.agents.has_agents(found, {"claude-flow": "3.43.0", "claude-code": "2.2.0"})
    assert not host.agents.has_agents({}, {"claude-flow": "3.43.0"})
