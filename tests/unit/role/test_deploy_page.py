"""What docs/how-to/deploy.md says to write passes the role's judgement."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from tests.unit.role.loading import ROLE, ROOT, load

configuration = load("judgement/configuration.py")
variables = load("judgement/variables.py")
PAGE = ROOT / "docs" / "how-to" / "deploy.md"
SCHEMA: dict[str, Any] = json.loads(
    (ROOT / "schemas" / "config.schema.json").read_text(encoding="utf-8")
)
OPTIONS: dict[str, Any] = yaml.safe_load(
    (ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
)["argument_specs"]["main"]["options"]
CREDENTIALS = {
    "claude_flow_github_token": "github-token",
    "claude_flow_github_app_key": "github-app-key",
    "claude_flow_database_url": "database-url",
}


def _blocks() -> Iterator[tuple[str, str, Any]]:
    """The title above each block of YAML, the file that it names, what it says."""
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0]
        for block in re.findall(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
            path = re.match(r"# (\S+)\n", block)
            assert path, f"a block in {title!r} does not say which file it is"
            yield title, path[1], yaml.safe_load(block)


BLOCKS = list(_blocks())
VARIABLES = [(title, given) for title, path, given in BLOCKS if "group_vars" in path]


def test_the_page_has_blocks_of_every_kind() -> None:
    assert {path for _title, path, _given in BLOCKS} == {
        "ansible/inventory/hosts.yml",
        "ansible/group_vars/claude_flow/main.yml",
        "ansible/group_vars/claude_flow/vault.yml",
    }


@pytest.mark.parametrize(("title", "given"), VARIABLES, ids=[title for title, _ in VARIABLES])
def test_variables_are_the_roles_and_of_its_types(title: str, given: dict[str, Any]) -> None:
    assert set(given) <= set(OPTIONS), title
    assert variables.faults(given, OPTIONS, SCHEMA) == []
    assert ArgumentSpecValidator(OPTIONS).validate(given).error_messages == []


@pytest.mark.parametrize("title", sorted({title for title, _ in VARIABLES}))
def test_a_sections_variables_make_a_valid_configuration(title: str) -> None:
    together: dict[str, Any] = {}
    for of, given in VARIABLES:
        if of == title and "claude_flow_config" in given:
            together = {}  # another example
        if of == title:
            together |= given
    if "claude_flow_config" not in together:
        return
    # Where a section is silent of secrets, those of the first one stay.
    named = {CREDENTIALS[name] for name in together if name in CREDENTIALS} or {"github-token"}
    assert configuration.faults(together["claude_flow_config"], SCHEMA, named) == []


@pytest.mark.parametrize("given", [given for _, path, given in BLOCKS if "inventory" in path])
def test_inventories_have_the_group_that_the_playbook_deploys_to(given: dict[str, Any]) -> None:
    (play,) = yaml.safe_load((ROOT / "ansible" / "site.yml").read_text(encoding="utf-8"))
    assert list(given) == [play["hosts"]]
    assert given["claude_flow"]["hosts"]


def test_hosts_are_deployed_to_one_after_the_other_by_the_name_that_the_page_says() -> None:
    (play,) = yaml.safe_load((ROOT / "ansible" / "site.yml").read_text(encoding="utf-8"))
    (name,) = re.findall(r"-e (claude_flow_\w+)=1 ", PAGE.read_text(encoding="utf-8"))
    assert re.match(rf"{{{{ {name} \|", play["serial"])
