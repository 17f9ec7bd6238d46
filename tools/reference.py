"""Writes docs/reference/configuration.md and workflow.md from their schemas, and the role's README.

``python tools/reference.py`` writes them; with ``--check`` it only says whether they are current.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from claude_flow.config import Schema, Setting, config_schema
from claude_flow.workflow_file.document import schema as workflow_schema
from tools import role_readme

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
PAGE = REFERENCE / "configuration.md"
WORKFLOW_PAGE = REFERENCE / "workflow.md"
ROLE_PAGE = ROOT / "roles" / "claude_flow" / "README.md"

HEAD = """\
# Configuration reference

Generated from `schemas/config.schema.json` by `tools/reference.py`: change the schema instead.

The configuration is JSON. Later layers win; objects merge key by key, lists and scalars replace:

1. the defaults below,
2. `/etc/claude-flow/config.json`, or the file that `--config` or `CLAUDE_FLOW_CONFIG` names,
3. `conf.d/*.json` beside it, in name order,
4. systemd credentials,
5. environment variables,
6. explicit overrides of a program that uses the library.

`claude-flowctl config explain KEY` says where a value came from, `claude-flowctl config check` says
every fault at once.

In variables, texts are taken as they are; booleans are `true`, `false`, `yes`, `no`, `on`, `off`,
`1` or `0`; lists and whole sections (`CLAUDE_FLOW_GITHUB_TRUST`) are JSON; `null` unsets a number
or a list.

A file that holds a secret, and a file that a setting names for its secret, must not be readable by
others. If a setting and the file that can give it are set in different layers, the later layer
wins; both in one layer are a fault.
"""


WORKFLOW_HEAD = """\
# Workflow file reference

Generated from `schemas/workflow.schema.json` by `tools/reference.py`: change the schema instead.

How to use it: [workflow-file.md](../how-to/workflow-file.md). Nothing has to be set; what is not is
as the operator configured it.

## Front matter

YAML between two lines that are only `---`, without anchors, aliases, tags and dates.
"""
WORKFLOW_VARIABLES = """\
## Variables of the template

| variable | is |
|---|---|
| `issue.number`, `issue.title`, `issue.body`, `issue.url` | the issue |
| `issue.labels` | the names of its labels, a list |
| `issue.author` | the login of whoever opened it, none for a deleted account |
| `repository` | `owner/name` |
| `comments` | a list of the issue's trusted comments, oldest first, each with `author` and `body` |
| `attempt.number` | which try of this run it is, from 1 |
| `attempt.last_detail` | how the try before ended, none in the first |
| `attempt.carries_on` | whether the workspace holds what an earlier try left |
| `feedback` | what the checks said that failed, none in the first round |
"""


def page(schema: Schema) -> str:
    """The whole page."""
    parts = [HEAD, *_sections(schema), _rules(schema), _renamed(schema)]
    return "\n".join(parts).rstrip() + "\n"


def _sections(schema: Schema) -> Iterator[str]:
    for name, spec in schema.document["properties"].items():
        if "properties" not in spec:
            continue
        yield f"## `{name}`: {spec['title']}\n\n{spec['description']}\n"
        for setting in schema.settings.values():
            if setting.path[0] == name:
                yield _setting(setting)


def _setting(setting: Setting) -> str:
    spec = setting.spec
    lines = [
        f"### `{setting.key}`",
        "",
        spec["description"],
        "",
        f"- Default: {_json(setting.default)}",
        f"- Allowed: {setting.expected}",
        f"- Example: {', '.join(_json(example) for example in spec['examples'])}",
        f"- Variable: `{setting.variable}`",
        f"- A change: {setting.cure.told}",
    ]
    lines += [f"- {note}" for note in _notes(setting)]
    return "\n".join(lines) + "\n"


def _notes(setting: Setting) -> Iterator[str]:
    if setting.is_secret:
        yield "Secret: masked wherever it is shown"
    if setting.is_secret_file:
        yield "The file holds a secret"
    if setting.credential:
        yield f"systemd credential: `{setting.credential}`"
    if setting.from_file:
        yield f"Can be given by the file that `{setting.from_file}` names"


def _rules(schema: Schema) -> str:
    rules = (f"- {rule['title']}: {rule['x-message']}." for rule in schema.rules)
    return "## Settings that need one another\n\n" + "\n".join(rules) + "\n"


def _renamed(schema: Schema) -> str:
    rows: Mapping[str, str | None] = schema.renamed
    lines = [
        f"| `{old}` | {f'`{new}`' if new else 'none: the playbook does it'} |"
        for old, new in rows.items()
    ]
    head = "## Older names\n\n`claude-flowctl config migrate` turns them into today's.\n"
    return "\n".join([head, "| older | today |", "|---|---|", *lines]) + "\n"


def _json(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def workflow_page(schema: Mapping[str, Any]) -> str:
    """The whole page."""
    return (
        "\n".join([WORKFLOW_HEAD, *_keys(schema["properties"], ""), WORKFLOW_VARIABLES]).rstrip()
        + "\n"
    )


def _keys(properties: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, spec in properties.items():
        if "properties" in spec:
            yield f"### `{prefix}{name}`\n\n{spec['description']}\n"
            yield from _keys(spec["properties"], f"{prefix}{name}.")
        else:
            yield f"### `{prefix}{name}`\n\n{spec['description']}\n\n{_facts(spec)}\n"


def _facts(spec: Mapping[str, Any]) -> str:
    kind = " or ".join(f"`{one}`" for one in spec["enum"]) if "enum" in spec else spec["type"]
    bounds = (("minimum", "at least"), ("exclusiveMinimum", "more than"), ("maximum", "at most"))
    allowed = [kind, *(f"{words} {spec[name]}" for name, words in bounds if name in spec)]
    examples = ", ".join(f"`{json.dumps(one, ensure_ascii=False)}`" for one in spec["examples"])
    return f"- Allowed: {', '.join(allowed)}\n- Example: {examples}"


def main() -> int:
    """Write or check the pages; 1 if one is not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether it is current")
    pages = {
        PAGE: page(config_schema()),
        WORKFLOW_PAGE: workflow_page(workflow_schema()),
        ROLE_PAGE: role_readme.page(),
    }
    if not parser.parse_args().check:
        for path, text in pages.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return 0
    old = [path for path, text in pages.items() if _read(path) != text]
    for path in old:
        print(
            f"{path.relative_to(ROOT)} is not current: run python tools/reference.py",
            file=sys.stderr,
        )
    return 1 if old else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
