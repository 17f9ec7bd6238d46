"""Cuts GitHub's OpenAPI description to the operations that the stand-in GitHub serves.

How to get a newer one: ``npm pack @octokit/openapi`` in a directory elsewhere, unpack it, then
``python tools/cut_openapi.py package`` from the repository's root. The checks of
``claude_flow.testing.openapi_check`` read the result.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path("claude_flow/testing/github_openapi.json")
_REPOSITORY = "/repos/{owner}/{repo}"
_ISSUE = f"{_REPOSITORY}/issues/{{issue_number}}"
SERVED = {
    "/app": ("get",),
    "/app/installations/{installation_id}/access_tokens": ("post",),
    "/user": ("get",),
    "/rate_limit": ("get",),
    _REPOSITORY: ("get",),
    f"{_REPOSITORY}/collaborators/{{username}}/permission": ("get",),
    f"{_REPOSITORY}/issues": ("get",),
    f"{_REPOSITORY}/issues/events": ("get",),
    f"{_REPOSITORY}/issues/comments/{{comment_id}}": ("get", "patch"),
    _ISSUE: ("get", "patch"),
    f"{_ISSUE}/comments": ("get", "post"),
    f"{_ISSUE}/events": ("get",),
    f"{_ISSUE}/labels": ("get", "post"),
    f"{_ISSUE}/labels/{{name}}": ("delete",),
    f"{_ISSUE}/timeline": ("get",),
    f"{_REPOSITORY}/labels": ("get", "post"),
    f"{_REPOSITORY}/labels/{{name}}": ("get",),
    f"{_REPOSITORY}/pulls": ("get", "post"),
    f"{_REPOSITORY}/pulls/{{pull_number}}": ("get", "patch"),
}
# Prose and samples: most of the bytes, and nothing that a check reads.
_PROSE = frozenset({"description", "summary", "example", "examples", "externalDocs", "tags"})
_NAMED = frozenset({"properties", "schemas", "parameters", "responses", "headers"})


def without_prose(node: Any, *, is_map: bool = False) -> Any:
    """The node without prose; in a map of names every key stays."""
    if isinstance(node, list):
        return [without_prose(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {}
    for key, value in node.items():
        if not is_map and (key in _PROSE or key.startswith("x-")):
            continue
        kept[key] = without_prose(value, is_map=not is_map and key in _NAMED)
    return kept


def references(node: Any) -> Iterator[str]:
    """Every ``$ref`` below the node."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def cut(whole: dict[str, Any], origin: str, licence: str) -> dict[str, Any]:
    """The served operations and what they refer to."""
    paths = {
        path: {method: without_prose(whole["paths"][path][method]) for method in methods}
        for path, methods in SERVED.items()
    }
    components: dict[str, dict[str, Any]] = {}
    waiting = sorted(set(references(paths)))
    while waiting:
        _, _, kind, name = waiting.pop().split("/")
        if name not in components.setdefault(kind, {}):
            components[kind][name] = without_prose(whole["components"][kind][name])
            waiting += sorted(set(references(components[kind][name])))
    info = {key: whole["info"][key] for key in ("title", "version", "license")}
    info["description"] = f"Cut by tools/cut_openapi.py from {origin}. {licence}"
    return {
        "openapi": whole["openapi"],
        "info": info,
        "paths": paths,
        "components": {kind: dict(sorted(named.items())) for kind, named in components.items()},
    }


def main() -> None:
    """Read the unpacked npm package, write the cut."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="the unpacked npm package")
    package = parser.parse_args().package
    manifest = json.loads((package / "package.json").read_text())
    whole = json.loads((package / "generated" / "api.github.com.json").read_text())
    licence = " ".join((package / "LICENSE").read_text().split())
    description = cut(whole, f"npm {manifest['name']} {manifest['version']}", licence)
    TARGET.write_text(json.dumps(description, indent=1) + "\n")
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
