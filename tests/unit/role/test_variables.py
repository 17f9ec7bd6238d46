"""What the role says of its variables in several places is the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "claude_flow"


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


DEFAULTS: dict[str, Any] = _yaml(ROLE / "defaults" / "main.yml")
OPTIONS: dict[str, Any] = _yaml(ROLE / "meta" / "argument_specs.yml")["argument_specs"]["main"][
    "options"
]


def test_defaults_and_argument_specs_name_the_same_variables() -> None:
    assert sorted(DEFAULTS) == sorted(OPTIONS)


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_default_is_the_specified_one(name: str) -> None:
    assert OPTIONS[name]["default"] == DEFAULTS[name]


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
