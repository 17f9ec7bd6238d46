"""The settings of a GitHub App, judged with all others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from claude_flow.config import ConfigManager
from claude_flow.testing.apps_api import new_key_pair

Write = Callable[..., Path]
Faults = Callable[..., list[str]]
APP: dict[str, Any] = {"app": {"id": 1, "installation_id": 2}, "repositories": ["a/b"]}


def elliptic_key(encryption: KeySerializationEncryption) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


def test_the_credential_gives_the_key(write: Write) -> None:
    private_key, _ = new_key_pair()
    directory = write(private_key, "credentials/github-app-key", 0o440).parent
    environ = {"CREDENTIALS_DIRECTORY": str(directory)}
    config = ConfigManager.load(write({"github": APP}), environ=environ, startable=True)
    assert config.get("github.app.private_key_file") == str(directory / "github-app-key")
    key = config.secret("github.app.private_key_file")
    assert key is not None
    assert key.reveal() == private_key.strip()
    assert config.snapshot().secrets() == [private_key.strip()]


def test_a_new_key_comes_with_a_reload(write: Write) -> None:
    key_file = write(new_key_pair()[0], "app.pem", 0o600)
    overrides = {"github.app.private_key_file": str(key_file)}
    config = ConfigManager.load(write({"github": APP}), environ={}, overrides=overrides)
    write(new_key_pair()[0], "app.pem", 0o600)
    changed = config.reload()
    assert changed == ("github.app.private_key_file",)
    assert config.needs_restart(changed) == ()


def test_without_its_key_it_cannot_start(faults: Faults, write: Write) -> None:
    (found,) = faults(write({"github": APP}), startable=True)
    assert found == (
        "github.app.private_key_file: no key for the GitHub App; set "
        "github.app.private_key_file or give the systemd credential github-app-key"
    )
    # Where systemd gives the key to the daemon alone, others can read the rest.
    ConfigManager.load(write({"github": APP}), environ={}, startable=True, credential=False)


@pytest.mark.parametrize("setting", ["token", "token_file"])
def test_beside_a_token_it_is_a_fault(faults: Faults, write: Write, setting: str) -> None:
    overrides = {
        "github.app.private_key_file": str(write(new_key_pair()[0], "app.pem", 0o600)),
        f"github.{setting}": str(write("a-token", "token", 0o600)),
    }
    (found,) = faults(write({"github": APP}), overrides=overrides, startable=True)
    assert "github.app.id: a GitHub App and a token" in found
    assert "keep one of them" in found


@pytest.mark.parametrize("app", [{"id": 1}, {"installation_id": 2}, {"key": True}])
def test_a_part_of_it_is_a_fault(faults: Faults, write: Write, app: dict[str, Any]) -> None:
    if app.pop("key", False):
        app["private_key_file"] = str(write(new_key_pair()[0], "app.pem", 0o600))
    (found,) = faults(write({"github": {"app": app}}))
    assert "set all three or none" in found


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("ghp_" + "0" * 36, 0o600, "holds no private key in PEM form; name the .pem file"),
        (new_key_pair()[1], 0o600, "holds no private key in PEM form"),
        (
            elliptic_key(BestAvailableEncryption(b"secret")),
            0o600,
            "holds a private key with a passphrase",
        ),
        (elliptic_key(NoEncryption()), 0o600, "holds no RSA private key"),
        (new_key_pair()[0], 0o644, "may be read by others; chmod o= it"),
    ],
    ids=["token", "public", "passphrase", "elliptic", "open"],
)
def test_a_file_that_is_no_key_is_told_with_all_else(
    faults: Faults, write: Write, text: str, mode: int, why: str
) -> None:
    key_file = str(write(text, "app.pem", mode))
    found = faults(write({"github": APP | {"app": {"id": 0, "private_key_file": key_file}}}))
    assert len(found) == 2
    assert "github.app.id: 0 is not valid" in found[0]
    assert f"github.app.private_key_file: the file {key_file} {why}" in found[1]
    assert not any(line in "".join(found) for line in text.splitlines())
