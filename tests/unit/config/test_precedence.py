"""Every combination of layers, for a scalar, an object and an array."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from claude_flow.config import ConfigManager

# From the weakest. The schema's defaults are below all of them.
LAYERS = ("file", "conf.d 1", "conf.d 2", "credential", "environment", "override")
NAMES = {"conf.d 1": "conf.d", "conf.d 2": "conf.d"}


COMBINATIONS = [
    tuple(layer for layer, is_in in zip(LAYERS, chosen, strict=True) if is_in)
    for chosen in product((False, True), repeat=len(LAYERS))
]


def load(directory: Path, documents: dict[str, dict[str, Any]]) -> ConfigManager:
    """Give each layer its document; a document is ``{key: value}``."""
    paths = {"file": "config.json", "conf.d 1": "conf.d/1.json", "conf.d 2": "conf.d/2.json"}
    (directory / "conf.d").mkdir()
    (directory / "credentials").mkdir()
    (directory / "config.json").write_text("{}")
    environ = {"CREDENTIALS_DIRECTORY": str(directory / "credentials")}
    overrides = documents.get("override", {})
    for layer, document in documents.items():
        if layer in paths:
            path = directory / paths[layer]
            path.write_text(json.dumps(nested(document)))
            path.chmod(0o600)
        elif layer == "environment":
            for key, value in document.items():
                name = "CLAUDE_FLOW_" + key.replace(".", "_").upper()
                environ[name] = value if isinstance(value, str) else json.dumps(value)
        elif layer == "credential":
            for text in document.values():
                path = directory / "credentials" / "github-token"
                path.write_text(text)
                path.chmod(0o600)
    return ConfigManager.load(directory / "config.json", environ=environ, overrides=overrides)


def nested(document: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in document.items():
        *sections, name = key.split(".")
        inner = result
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[name] = value
    return result


@pytest.mark.parametrize("layers", COMBINATIONS, ids="+".join)
def test_scalar(tmp_path: Path, layers: tuple[str, ...]) -> None:
    config = load(
        tmp_path, {layer: {"github.token": f"from {layer}".replace(" ", "-")} for layer in layers}
    )
    strongest = layers[-1] if layers else None
    assert config.get("github.token") == (
        None if strongest is None else f"from-{strongest.replace(' ', '-')}"
    )
    explanation = config.explain("github.token")
    places = [explanation.origin, *explanation.overridden]
    expected = [NAMES.get(layer, layer) for layer in reversed(layers)]
    assert [place.layer for place in places] == [*expected, "default"]


@pytest.mark.parametrize("layers", COMBINATIONS, ids="+".join)
def test_array_replaces(tmp_path: Path, layers: tuple[str, ...]) -> None:
    # No credential gives an array: there that layer sets something else.
    documents = {
        layer: {"github.token": "x"}
        if layer == "credential"
        else {"github.repositories": [f"layer/{index}", "all/same"]}
        for index, layer in enumerate(layers)
    }
    setting = [index for index, layer in enumerate(layers) if layer != "credential"]
    config = load(tmp_path, documents)
    assert config.get("github.repositories") == (
        [f"layer/{setting[-1]}", "all/same"] if setting else []
    )


@pytest.mark.parametrize("layers", COMBINATIONS, ids="+".join)
def test_object_merges_key_by_key(tmp_path: Path, layers: tuple[str, ...]) -> None:
    own = {
        "file": ("service.log_level", "DEBUG"),
        "conf.d 1": ("service.max_concurrent_runs", 7),
        "conf.d 2": ("service.state_directory", "/state"),
        "credential": ("github.token", "x"),
        "environment": ("service.workspace_root", "/workspaces"),
        "override": ("service.max_concurrent_runs_per_repository", 7),
    }
    shared = "service.shutdown_grace_seconds"
    documents: dict[str, dict[str, Any]] = {}
    expected: dict[str, Any] = {}
    for index, layer in enumerate(layers):
        key, value = own[layer]
        documents[layer] = {key: value}
        expected[key] = value
        if layer != "credential":
            documents[layer][shared] = expected[shared] = index
    config = load(tmp_path, documents)
    untouched = config.schema.defaults
    for key in (*(key for key, _ in own.values()), shared):
        assert config.get(key) == expected.get(key, untouched[key])
