"""The text of roles/claude_flow/README.md, from what the role itself goes by."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml

_ROOT = Path(__file__).parents[1]
_ROLE = _ROOT / "roles" / "claude_flow"
_TEMPLATE = Path(__file__).with_suffix(".md.j2")
_EXAMPLES = _ROOT / "ansible" / "examples"
_ATTEMPT_FILES = {
    "claude-flow-run@.service.j2": "the unit of one attempt",
    "polkit.rules.j2": "the service's right to start and stop attempts, and nothing else",
    "tmpfiles-run.conf.j2": "makes the place where attempts find what they need",
}


def page() -> str:
    """The whole page. Raises jinja2.UndefinedError where it names what the role does not have."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown of our own files
    )
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    specs = _yaml(_ROLE / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = _yaml(_ROLE / "defaults" / "main.yml")
    return template.render(
        options={name: _row(specs[name], defaults[name]) for name in defaults},
        vars=_yaml(_ROLE / "vars" / "main.yml"),
        schema=_defaults_of_the_schema(),
        attempt_files=_ATTEMPT_FILES,
        example=_example,
    )


def _row(option: Mapping[str, Any], default: Any) -> dict[str, str]:
    kind = f"list of {option['elements']}" if "elements" in option else option["type"]
    meaning = option["description"]
    sentences = meaning if isinstance(meaning, list) else [meaning]
    choices = [f"`{choice}`" for choice in option.get("choices", [])]
    notes = [f"One of {', '.join(choices)}."] if option["type"] == "str" and choices else []
    notes += [f"Of {', '.join(choices)}."] if option["type"] == "list" and choices else []
    notes += ["Secret."] if option.get("no_log") else []
    return {
        "type": kind,
        "default": _default(default),
        "meaning": " ".join([*map(_markdown, map(_ended, sentences)), *notes]),
    }


def _default(value: Any) -> str:
    if value in ("", [], {}):
        return "none"
    if isinstance(value, str):
        return "the checkout's own" if "{{" in value else f"`{value}`"
    if isinstance(value, list):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{json.dumps(value)}`"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith(".") else f"{sentence}."


def _markdown(text: str) -> str:
    # Ansible's own markup in descriptions: values, options, code.
    return re.sub(r"\b[VOC]\((.+?)\)", r"`\1`", text).replace("|", r"\|")


def _defaults_of_the_schema() -> dict[str, dict[str, Any]]:
    schema = json.loads((_ROOT / "schemas" / "config.schema.json").read_text(encoding="utf-8"))
    return {
        section: {name: leaf.get("default") for name, leaf in spec.get("properties", {}).items()}
        for section, spec in schema["properties"].items()
    }


def _example(name: str) -> str:
    text = (_EXAMPLES / name).read_text(encoding="utf-8").removeprefix("---\n")
    return f"```yaml\n# {name.partition('/')[2]}\n{text}```\n"


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
