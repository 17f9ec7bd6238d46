"""Whatever a file or variable holds: a configuration or a ConfigError, and never a secret."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_flow.config import ConfigError, ConfigManager, Setting, config_schema
from claude_flow.config.coercion import CoercionError, coerce

# The nightly run raises it to 100,000.
CASES = int(os.environ.get("CONFIG_PROPERTY_CASES", "2000"))
SCHEMA = config_schema()
SECRET = "Tr0ub4dor-and-3-horses"
_MOST_KEYS = 12  # each that is set is a check of the whole document
many = settings(max_examples=CASES)


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def attempt(path: Path, content: bytes, environ: dict[str, str]) -> ConfigManager | ConfigError:
    path.write_bytes(content)
    path.chmod(0o600)
    try:
        return ConfigManager.load(path, environ=environ)
    except ConfigError as error:
        return error


# --- what the schema allows -----------------------------------------------------------------

PRINTABLE = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
TEXTS = {
    "path": st.from_regex(r"\A/[a-z0-9/._-]{0,30}\Z"),
    "uri": st.sampled_from(["https://github.example.com/api/v3", "http://127.0.0.1:8080"]),
}


def values(spec: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a part of the schema allows."""
    if "enum" in spec:
        return st.sampled_from(spec["enum"])
    types = [spec["type"]] if isinstance(spec["type"], str) else spec["type"]
    return st.one_of([BY_TYPE[kind](spec) for kind in types])


def numbers(spec: dict[str, Any]) -> st.SearchStrategy[float]:
    low: float = spec["exclusiveMinimum"] if "exclusiveMinimum" in spec else spec["minimum"]
    high: float = spec["maximum"]
    floats = st.floats(low, high, exclude_min="exclusiveMinimum" in spec)
    return floats | st.integers(int(low) + 1, int(high))


def lists(spec: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(
        values(spec["items"]),
        unique=spec.get("uniqueItems", False),
        min_size=spec.get("minItems", 0),
        max_size=5,
    )


def texts(spec: dict[str, Any]) -> st.SearchStrategy[str]:
    if spec.get("format") in TEXTS:
        return TEXTS[spec["format"]]
    # Rust's and Python's \s differ in control characters; they agree on printable ones.
    text = st.from_regex(spec["pattern"].replace("$", r"\Z"), alphabet=PRINTABLE)
    most = spec.get("maxLength")
    return text.filter(lambda value: not most or len(value) <= most)


BY_TYPE: dict[str, Callable[[dict[str, Any]], st.SearchStrategy[Any]]] = {
    "null": lambda _: st.none(),
    "boolean": lambda _: st.booleans(),
    "integer": lambda spec: st.integers(spec["minimum"], spec.get("maximum")),
    "number": numbers,
    "array": lists,
    "string": texts,
}


def documents() -> st.SearchStrategy[dict[str, Any]]:
    # Named secret files would have to exist; the rules would have to hold.
    apart = {"github.app.id", "github.app.installation_id", "github.webhook.enabled"}
    free = {
        key: values(dict(setting.spec))
        for key, setting in SCHEMA.settings.items()
        if not setting.is_secret_file and key not in apart
    }
    some = st.sets(st.sampled_from(sorted(free)), max_size=_MOST_KEYS).flatmap(
        lambda keys: st.fixed_dictionaries({key: free[key] for key in sorted(keys)})
    )
    return some.filter(
        lambda chosen: (
            chosen.get("claude_flow.agent") != "command"
            or chosen.get("claude_flow.command") is not None
        )
    ).map(
        lambda chosen: (
            chosen | {"execution.network": "hosts"}
            if chosen.get("execution.network_hosts")
            else chosen
        )
    )


@given(documents())
@many
def test_load_of_save_is_the_same(directory: Path, chosen: dict[str, Any]) -> None:
    path = directory / "saved.json"
    path.write_text("{}")
    path.chmod(0o600)
    config = ConfigManager.load(path, environ={})
    first = ("claude_flow.command", "execution.network")  # what others need
    order = sorted(chosen, key=lambda key: key not in first)
    for key in order:
        config.set(key, chosen[key])
    config.save()
    again = ConfigManager.load(path, environ={})
    assert {key: again.get(key) for key in chosen} == chosen
    assert again.snapshot().changes(config.snapshot()) == ()
    untouched = SCHEMA.settings.keys() - chosen.keys()
    assert {again.explain(key).layer for key in untouched} == {"default"}


# --- anything whatever ----------------------------------------------------------------------


@given(st.binary(max_size=200))
@many
def test_any_bytes_as_file(directory: Path, content: bytes) -> None:
    found = attempt(directory / "bytes.json", content, {})
    if isinstance(found, ConfigError):
        assert found.problems
        str(found).encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
known_words = sorted({part for key in SCHEMA.settings for part in key.split(".")})
shaped = st.dictionaries(
    st.sampled_from(sorted({key.split(".")[0] for key in SCHEMA.settings})),
    st.dictionaries(st.sampled_from(known_words) | st.text(max_size=5), json_values, max_size=4)
    | json_values,
    max_size=4,
)


@given(shaped)
@many
def test_any_json_as_file(directory: Path, document: dict[str, Any]) -> None:
    document.setdefault("github", {})
    if isinstance(document["github"], dict):
        document["github"]["token"] = SECRET
    found = attempt(directory / "json.json", json.dumps(document).encode(), {})
    assert SECRET not in f"{found} {found!r}"
    str(found).encode()


@given(st.integers(0, 400), st.binary(min_size=1, max_size=3), st.integers(0, 3))
@many
def test_any_damage_to_a_file_with_a_secret(
    directory: Path, at: int, damage: bytes, cut: int
) -> None:
    document = {"github": {"repositories": ["a/b"], "token": SECRET}, "service": {}}
    whole = json.dumps(document, indent=1).encode()
    # The secret itself stays whole: what is left of a cut one is another text.
    start = whole.index(SECRET.encode())
    at %= len(whole)
    if start - cut < at < start + len(SECRET):
        at = start + len(SECRET)
    found = attempt(directory / "damaged.json", whole[:at] + damage + whole[at + cut :], {})
    assert SECRET not in f"{found} {found!r}"


variables = st.sampled_from(sorted(SCHEMA.variables)) | st.text(
    st.characters(exclude_characters="=\0"), max_size=8
).map(lambda end: f"CLAUDE_FLOW_{end}")


@given(st.dictionaries(variables, st.text(st.characters(exclude_characters="\0")), max_size=4))
@many
def test_any_text_as_variable(directory: Path, environ: dict[str, str]) -> None:
    environ["CLAUDE_FLOW_GITHUB_TOKEN"] = SECRET
    found = attempt(directory / "empty.json", b"{}", environ)
    assert SECRET not in f"{found} {found!r}"
    str(found).encode()
    if isinstance(found, ConfigManager):
        "\n".join(found.warnings).encode()


# --- coercion -------------------------------------------------------------------------------

scalar_settings = st.sampled_from(
    [s for s in SCHEMA.settings.values() if not s.types & {"array"} and "enum" not in s.spec]
)


@given(scalar_settings, st.data())
@many
def test_a_value_written_as_text_is_itself(setting: Setting, data: st.DataObject) -> None:
    value = data.draw(values(dict(setting.spec)).filter(lambda value: value is not None))
    text = value if isinstance(value, str) else json.dumps(value)
    assert coerce(text, setting) == value


@given(scalar_settings, st.text())
@many
def test_coercion_gives_the_type_or_an_error(setting: Setting, text: str) -> None:
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
    value = message = None
    try:
        value = coerce(text, setting)
    except CoercionError as error:
        message = str(error)
    if message is not None:
        assert len(text) < len(SECRET) or text not in message
    elif value is not None:
        (kind,) = setting.types - {"null"}
        assert isinstance(value, types[kind])  # type: ignore[arg-type] # joined to object
