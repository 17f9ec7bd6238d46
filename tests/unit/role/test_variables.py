"""What the role says of its variables in several places is the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from tests.unit.role.loading import load

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "claude_flow"


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


DEFAULTS: dict[str, Any] = _yaml(ROLE / "defaults" / "main.yml")
OPTIONS: dict[str, Any] = _yaml(ROLE / "meta" / "argument_specs.yml")["argument_specs"]["main"][
    "options"
]


HOST = "library/claude_flow_host.py"


def test_defaults_and_argument_specs_name_the_same_variables() -> None:
    assert sorted(DEFAULTS) == sorted(OPTIONS)


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_default_is_the_specified_one(name: str) -> None:
    assert OPTIONS[name]["default"] == DEFAULTS[name]


def test_defaults_are_what_ansible_takes_for_the_specified_types_without_converting_them() -> None:
    result = ArgumentSpecValidator(OPTIONS).validate(DEFAULTS)
    assert result.error_messages == []
    for name, default in DEFAULTS.items():
        taken = result.validated_parameters[name]
        assert (type(taken), taken) == (type(default), default), name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("claude_flow_state", "gone"),
        ("claude_flow_purge", "perhaps"),
        ("claude_flow_tasks_max", "many"),
        ("claude_flow_config", ["github"]),
        ("claude_flow_skip_checks", ["weather"]),
    ],
)
def test_what_is_not_of_the_specified_type_or_choices_is_refused(name: str, value: Any) -> None:
    assert ArgumentSpecValidator(OPTIONS).validate({**DEFAULTS, name: value}).error_messages


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_every_variable_has_a_type_and_a_meaning_and_a_list_the_type_of_its_elements(
    name: str,
) -> None:
    option = OPTIONS[name]
    assert option["type"] in {"str", "bool", "int", "dict", "list"}
    assert option["description"]
    assert ("elements" in option) == (option["type"] == "list")


def test_checks_that_can_be_left_out_are_those_that_are_made() -> None:
    faults = load(HOST).faults
    made = [*faults.HOST_CHECKS, *faults.INSTALLATION_CHECKS]
    assert made == OPTIONS["claude_flow_skip_checks"]["choices"]


@pytest.mark.parametrize("name", sorted(DEFAULTS | _yaml(ROLE / "vars" / "main.yml")))
def test_variables_begin_with_the_projects_name(name: str) -> None:
    assert name.startswith("claude_flow_")


@pytest.mark.parametrize(
    "name", [name for name in DEFAULTS if re.search("token|credential|environment", name)]
)
def test_secrets_are_specified_as_such(name: str) -> None:
    assert OPTIONS[name]["no_log"] is True


def test_settings_that_the_role_reads_are_in_the_schema() -> None:
    schema = json.loads((ROOT / "schemas" / "config.schema.json").read_text(encoding="utf-8"))
    texts = [
        path.read_text(encoding="utf-8")
        for path in sorted(ROLE.rglob("*"))
        if path.suffix in {".yml", ".j2"}
    ]
    keys = set(re.findall(r"claude_flow_effective\.([a-z_]+\.[a-z_.]+)", "\n".join(texts)))
    assert keys
    for key in keys:
        section, name = key.split(".")
        assert "default" in schema["properties"][section]["properties"][name], key


def test_targets_image_holds_what_the_role_would_install() -> None:
    listed = (ROOT / "tools" / "packages-target.txt").read_text(encoding="utf-8").splitlines()
    assert set(DEFAULTS["claude_flow_packages"]) <= set(listed)
