"""``claude-flow-service --check``: the daemon's own judgement, before it does anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TOKEN = "a-token-of-no-known-shape"
VALID: dict[str, Any] = {"github": {"repositories": ["acme/widgets"], "token": TOKEN}}


def check(path: Path, document: Any, **environ: str) -> subprocess.CompletedProcess[str]:
    text = document if isinstance(document, str) else json.dumps(document, indent=2)
    path.write_text(text)
    path.chmod(0o640)
    return subprocess.run(
        [sys.executable, "-m", "claude_flow.daemon.main", "--check", "--config", str(path)],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_valid_one(tmp_path: Path) -> None:
    done = check(tmp_path / "c.json", VALID, CLAUDE_FLOW_HOOKS_ENABLED="1")
    assert done.returncode == 0
    assert done.stdout == f"{tmp_path}/c.json: the configuration is valid\n"
    assert done.stderr == (
        "claude-flow-service: warning: CLAUDE_FLOW_HOOKS_ENABLED is not a setting; ignored\n"
    )


def test_one_without_repositories_and_credential(tmp_path: Path) -> None:
    done = check(tmp_path / "c.json", {})
    assert done.returncode == 78
    first, *faults = done.stderr.splitlines()
    assert first == "claude-flow-service: the configuration is invalid (2 faults):"
    assert [line.split(":")[0].strip() for line in faults] == [
        "github.repositories",
        "github.token",
    ]


def test_a_malformed_one_shows_the_place_and_no_secret(tmp_path: Path) -> None:
    done = check(tmp_path / "c.json", json.dumps(VALID, indent=1).replace('"token":', '"token"'))
    assert done.returncode == 78
    assert f"{tmp_path}/c.json:6:" in done.stderr
    assert "^" in done.stderr.splitlines()[-1]
    assert TOKEN not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_systemd_credential_is_a_credential(tmp_path: Path) -> None:
    (tmp_path / "github-token").write_text(TOKEN)
    (tmp_path / "github-token").chmod(0o440)
    document = {"github": {"repositories": ["acme/widgets"]}}
    done = check(tmp_path / "c.json", document, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
