"""What the role makes of its variables and its fleet, before it touches a host."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from tests.unit.role.loading import ROLE, ROOT, load

fleet = load("judgement/fleet.py")
release = load("judgement/release.py")
variables = load("judgement/variables.py")
SCHEMA: dict[str, Any] = json.loads(
    (ROOT / "schemas" / "config.schema.json").read_text(encoding="utf-8")
)
OPTIONS = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))[
    "argument_specs"
]["main"]["options"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("claude_flow_databse_url", "did you mean claude_flow_database_url?"),
        ("claude_flow_sate", "did you mean claude_flow_state?"),
        ("claude_flow_github_owner", "it is github.repositories in claude_flow_config today"),
        ("claude_flow_claude_flow_max_turns", "set claude_flow.max_turns in claude_flow_config"),
    ],
)
def test_a_mistyped_or_older_variable_is_told_the_right_one(name: str, fault: str) -> None:
    assert variables.faults([name], OPTIONS, SCHEMA) == [
        f"{name}: no variable of the role; {fault}"
    ]


def test_an_operators_own_variables_are_left_alone() -> None:
    names = ["claude_flow_rack", "claude_flow_target", "inventory_hostname", *OPTIONS]
    assert variables.faults(names, OPTIONS, SCHEMA) == []


def test_no_name_that_the_role_or_its_tests_make_is_taken_for_a_slip() -> None:
    paths = [*ROLE.rglob("*.yml"), *(ROOT / "molecule").rglob("*.yml")]
    texts = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    names = set(
        re.findall(r"register: (claude_flow_\w+)|^\s+(claude_flow_\w+):", texts, re.MULTILINE)
    )
    made = {name for pair in names for name in pair if name}
    internal = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    assert made
    assert variables.faults(made - set(internal), OPTIONS, SCHEMA) == []


@pytest.mark.parametrize(
    ("databases", "faults"),
    [
        ({}, 1),
        ({"a": "postgresql://one", "b": "postgresql://one"}, 0),
        ({"a": "postgresql://one", "b": "postgresql://two"}, 1),
        ({"a": "postgresql://one"}, 1),
    ],
)
def test_hosts_share_repositories_only_with_a_database(
    databases: dict[str, str], faults: int
) -> None:
    watched = {"a": ["x/y", "x/z"], "b": ["x/z"], "c": ["x/other"]}
    found = fleet.shared_work("a", watched, databases)
    assert len(found) == faults
    assert all("x/z would be worked on by a and b" in fault for fault in found)
    assert all("postgresql" not in fault for fault in found)
    assert fleet.shared_work("c", watched, databases) == []


def _effective(api: str, git: str) -> dict[str, Any]:
    return {"github": {"api_url": api, "git_base_url": git}}


def test_endpoints_are_what_the_service_connects_to() -> None:
    effective = _effective("https://api.github.com", "https://github.com")
    url = "postgresql+psycopg://me:hunter2@db.example.org/runs"
    found = fleet.endpoints(effective, url, "", [])
    assert [(item["host"], item["port"]) for item in found] == [
        ("api.github.com", 443),
        ("github.com", 443),
        ("db.example.org", 5432),
    ]
    assert "hunter2" not in str(found)


def test_a_proxy_stands_for_what_is_behind_it() -> None:
    effective = _effective("https://ghe.example.org/api/v3", "https://github.com")
    found = fleet.endpoints(effective, "", "http://me:hunter2@proxy:3128", [".example.org"])
    assert found == [
        {"name": "github.api_url", "host": "ghe.example.org", "port": 443},
        {"name": "claude_flow_proxy", "host": "proxy", "port": 3128},
    ]


def test_the_loopback_is_no_endpoint() -> None:
    effective = _effective("http://127.0.0.1:9", "http://localhost:9")
    assert fleet.endpoints(effective, "postgresql://[::1]/runs", "", []) == []


def test_a_release_is_known_by_its_content() -> None:
    assert re.fullmatch("[0-9a-f]{64}", release.wheel(ROOT))
    assert release.wheel(ROOT) == release.wheel(ROOT)
    assert release.requirements(ROOT) != release.wheel(ROOT)
    assert re.match(r"\d+\.", release.version(ROOT))
    assert re.match(r"\d+\.", release.claude_code_version(ROOT))
