"""What the role makes of a configuration before it touches a host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.config import ConfigManager
from tests.unit.role.loading import ROOT, load

SCHEMA: dict[str, Any] = json.loads(
    (ROOT / "schemas" / "config.schema.json").read_text(encoding="utf-8")
)
SMALL = {"github": {"repositories": ["octo/widgets"]}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["github", "service", "token", "app", "poll_interval_seconds", "agent", ""]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


configuration = load("judgement/configuration.py")
state = load("library/claude_flow_host.py").state
TOKEN = ["github-token"]


def _restart_keys(config: Any, before: str) -> list[str]:
    values = json.loads(json.dumps(configuration.restart_values(config, SCHEMA)))
    found: list[str] = state.restart_keys(before, values)
    return found


def test_a_small_configuration_has_no_faults() -> None:
    assert configuration.faults(SMALL, SCHEMA, TOKEN) == []


def test_all_faults_come_at_once_with_key_and_nearest_name() -> None:
    config = {
        "github": {"repositories": ["octo/widgets"], "pol_interval_seconds": 3, "app": {"id": 7}},
        "service": {"max_concurrent_runs": 0},
        "claude_flow": {"agent": "command"},
        "monitor": {},
    }
    found = "\n".join(configuration.faults(config, SCHEMA, TOKEN))
    assert "github.pol_interval_seconds: no such setting; did you mean github.poll_i" in found
    assert "github.app.id, github.app.installation_id, github.app.private_key_file: " in found
    assert "service.max_concurrent_runs: 0 is less than the minimum of 1" in found
    assert "claude_flow.command: " in found
    assert "monitor: no such setting" in found


def test_a_setting_without_its_section_is_found() -> None:
    found = configuration.faults({**SMALL, "max_turns": 3}, SCHEMA, TOKEN)
    assert found == ["max_turns: no such setting; did you mean claude_flow.max_turns?"]


def test_no_repositories_is_a_fault() -> None:
    (fault,) = configuration.faults({}, SCHEMA, TOKEN)
    assert fault.startswith("github.repositories: empty; ")


@pytest.mark.parametrize(
    ("section", "name", "credential"),
    [("github", "token", "github-token"), ("engine", "database_url", "database-url")],
)
def test_a_secret_is_sent_elsewhere_and_never_shown(
    section: str, name: str, credential: str
) -> None:
    config = {"github": {"repositories": ["octo/widgets"]}}
    config.setdefault(section, {})[name] = "hunter2 with a blank"  # type: ignore[assignment]
    (fault,) = configuration.faults(config, SCHEMA, TOKEN)
    assert fault == (
        f"{section}.{name}: a secret does not belong in the configuration; "
        f"give it as claude_flow_credentials['{credential}']"
    )


@given(JSON)
def test_any_document_is_judged_without_an_exception(document: Any) -> None:
    assert all(isinstance(line, str) for line in configuration.faults(document, SCHEMA, TOKEN))


def test_effective_configuration_is_the_services_own(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    given = {**SMALL, "service": {"max_concurrent_runs": 7}, "monitoring": {"http_port": 0}}
    path.write_text(json.dumps(given), encoding="utf-8")
    service = ConfigManager.load(path, environ={})
    merged = configuration.effective(given, SCHEMA)
    for section, settings in SCHEMA["properties"].items():
        if section != "$schema":
            assert sorted(merged[section]) == sorted(settings["properties"])
            for name in settings["properties"]:
                assert merged[section][name] == service.get(f"{section}.{name}")


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        ({"poll_interval_seconds": 5}, []),
        ({"poll_interval_seconds": 5, "api_url": "https://ghe.example.org"}, ["github.api_url"]),
        ({"api_url": "https://api.github.com"}, []),
    ],
)
def test_only_settings_that_need_it_ask_for_a_restart(
    change: dict[str, Any], keys: list[str]
) -> None:
    changed = {"github": {**SMALL["github"], **change}}
    assert _restart_keys(changed, json.dumps(SMALL)) == keys


@pytest.mark.parametrize("before", ["", "not JSON"])
def test_a_file_that_is_missing_or_broken_counts_as_the_defaults(before: str) -> None:
    assert _restart_keys(SMALL, before) == []
    changed = {**SMALL, "monitoring": {"http_port": 0}}
    assert _restart_keys(changed, before) == ["monitoring.http_port"]


def test_credentials_are_named_by_the_schema() -> None:
    assert "github-token" in configuration.credential_names(SCHEMA)


def test_an_older_name_is_told_todays() -> None:
    config = {**SMALL, "claude_flow": {"install_command": "npm"}}
    config["github"] = {**SMALL["github"], "owner": "octo"}
    assert configuration.faults(config, SCHEMA, TOKEN) == [
        "claude_flow.install_command: an older name; the role does it by itself today",
        "github.owner: an older name; it is github.repositories today",
    ]


@pytest.mark.parametrize(
    ("github", "credentials", "fault"),
    [
        ({}, [], "github.token: no credential for GitHub; "),
        ({"app": {"id": 1, "installation_id": 2}}, [], "github.app.id: the App's key is missing; "),
        ({"app": {"id": 1, "installation_id": 2}}, ["github-app-key"], None),
        ({"app": {"id": 1}}, ["github-app-key"], "github.app.id, github.app.installation_id, "),
        ({"app": {"id": 1, "installation_id": 2}}, ["github-app-key", *TOKEN], "github.app.id, "),
        ({"token_file": "/etc/token"}, [], None),
        ({"webhook": {"enabled": True}}, TOKEN, "github.webhook.secret_file: "),
        ({"webhook": {"enabled": True}}, [*TOKEN, "github-webhook-secret"], None),
    ],
)
def test_secrets_count_that_are_handed_over_beside_the_configuration(
    github: dict[str, Any], credentials: list[str], fault: str | None
) -> None:
    config = {"github": {**SMALL["github"], **github}}
    found = configuration.faults(config, SCHEMA, credentials)
    assert [line[: len(fault)] for line in found] == [fault] if fault else found == []
