"""Writes docs/reference/configuration.md from the schema.

``python tools/reference.py`` writes it; with ``--check`` it only says whether it is current.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from claude_flow.config import Schema, Setting, config_schema

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "configuration.md"

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
        f"- A change: {'applies on reload' if setting.is_live else 'needs a restart'}",
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


def main() -> int:
    """Write or check the page; 1 if it is not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether it is current")
    text = page(config_schema())
    if not parser.parse_args().check:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE.name} is not current: run python tools/reference.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
