"""The programs of the agents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from .reading import text


def agents(prefix: Path) -> dict[str, str]:
    """The releases of the agents' programs, by npm package."""
    packages = prefix / "node_modules"
    found = {}
    for manifest in [
        packages / "claude-flow" / "package.json",
        *packages.glob("@anthropic-ai/claude-code-linux-*/package.json"),
    ]:
        try:
            found[str(manifest.parent.relative_to(packages))] = json.loads(text(manifest))[
                "version"
            ]
        except (ValueError, KeyError):
            continue  # not there, or half there: npm has to see to it
    return found


def has_agents(found: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether each wanted program is there in its release; packages have more in their names."""
    return all(
        any(name in package and version == there for package, there in found.items())
        for name, version in wanted.items()
    )
