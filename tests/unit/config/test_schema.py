"""The schema says of each setting all that its readers need."""

from __future__ import annotations

import subprocess
import sys

import jsonschema_rs
import pytest

from claude_flow.config import Setting, config_schema
from claude_flow.config.nearest import distance, slip_of

SCHEMA = config_schema()


def test_the_schema_is_a_schema() -> None:
    jsonschema_rs.meta.validate(dict(SCHEMA.document))


@pytest.mark.parametrize("setting", SCHEMA.settings.values(), ids=lambda setting: setting.key)
class TestEachSetting:
    def test_is_described(self, setting: Setting) -> None:
        assert {"title", "description", "type", "default", "examples", "x-reload"} <= set(
            setting.spec
        )
        assert setting.spec["x-reload"] in {"live", "restart", "playbook"}
        assert setting.spec["description"].endswith(".")

    def test_has_a_valid_default_and_valid_examples(self, setting: Setting) -> None:
        validator = jsonschema_rs.Draft202012Validator(dict(setting.spec))
        for value in (setting.default, *setting.spec["examples"]):
            validator.validate(value)

    def test_is_bounded(self, setting: Setting) -> None:
        kinds = setting.types
        if kinds & {"integer", "number"}:
            assert {"minimum", "exclusiveMinimum"} & set(setting.spec)
        if setting.key.endswith("_seconds"):
            assert setting.unit == "seconds"
            assert "maximum" in setting.spec
        if "string" in kinds:
            assert {"enum", "pattern"} & set(setting.spec)


def test_no_two_settings_share_a_variable() -> None:
    assert len(SCHEMA.variables) == len(SCHEMA.settings) + len(SCHEMA.sections)


def test_references_name_settings() -> None:
    for setting in SCHEMA.settings.values():
        assert setting.from_file is None or SCHEMA.settings[setting.from_file].is_secret_file
    for old, new in SCHEMA.renamed.items():
        assert old not in SCHEMA.settings
        assert new is None or new in SCHEMA.settings
    for rule in SCHEMA.rules:
        assert set(rule["x-keys"]) <= SCHEMA.settings.keys()


@pytest.mark.parametrize(
    ("left", "right", "slips"),
    [("", "ab", 2), ("token", "token", 0), ("tokne", "token", 1), ("tkn", "token", 2)],
)
def test_distance_counts_slips(left: str, right: str, slips: int) -> None:
    assert distance(left, right, 9) == distance(right, left, 9) == slips


def test_two_slips_in_a_short_name_are_another_name() -> None:
    assert slip_of("abcd", ["abxy"]) is None
    assert slip_of("abcd", ["abcx"]) == "abcx"
    assert slip_of("abcdefgh", ["abcdefxy"]) == "abcdefxy"


def test_importing_it_is_light() -> None:
    code = "import sys; from claude_flow import ConfigManager; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "claude_flow.config.manager" in loaded
    heavy = {"dbos", "sqlalchemy", "github3", "requests", "psutil", "rich", "typer", "asyncio"}
    assert not loaded & (heavy | {"tree_sitter", "claude_flow.engine", "claude_flow.github"})
