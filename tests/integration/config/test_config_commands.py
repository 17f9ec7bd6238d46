"""``claude-flowctl config`` as people and scripts use it: the real program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOKEN = "a-token-of-no-known-shape"
Ctl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    write(path, {"github": {"repositories": ["acme/widgets"], "token": TOKEN}})
    return path


def write(path: Path, document: Any) -> None:
    text = document if isinstance(document, str) else json.dumps(document, indent=2)
    path.write_text(text)
    path.chmod(0o640)


@pytest.fixture
def ctl(path: Path) -> Ctl:
    """Runs a ``config`` command on the test's file in a bare environment."""

    def run(*argv: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "claude_flow.cli.main", "config", *argv],
            env={"PATH": os.environ["PATH"], "CLAUDE_FLOW_CONFIG": str(path), **environ},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def test_check_of_a_valid_one(ctl: Ctl, path: Path) -> None:
    done = ctl("check", CLAUDE_FLOW_HOOKS_ENABLED="1")
    assert (done.returncode, done.stdout) == (0, f"{path}: valid\n")
    assert done.stderr == "warning: CLAUDE_FLOW_HOOKS_ENABLED is not a setting; ignored\n"
    assert json.loads(ctl("check", "--json").stdout) == {
        "valid": True,
        "problems": [],
        "warnings": [],
    }


def test_check_of_an_invalid_one_says_all_and_exits_78(ctl: Ctl, path: Path) -> None:
    write(path, {"github": {"repositories": [], "token": TOKEN, "tokn": TOKEN}, "engine": 5})
    done = ctl("check", CLAUDE_FLOW_MAX_TURNS="x")
    assert (done.returncode, done.stdout) == (78, "")
    for text in ("MAX_TURNS?", "mean github.token?", "engine: is a section", "no repository"):
        assert text in done.stderr
    assert TOKEN not in done.stderr
    assert "Traceback" not in done.stderr
    listed = ctl("check", "--json", CLAUDE_FLOW_MAX_TURNS="x")
    assert listed.returncode == 78
    answer = json.loads(listed.stdout)
    assert not answer["valid"]
    assert {problem["key"] for problem in answer["problems"]} == {
        "github.repositories",
        "github.tokn",
        "engine",
        None,
    }
    assert TOKEN not in listed.stdout


def test_check_says_when_no_credential_is_in_sight(ctl: Ctl, path: Path) -> None:
    write(path, {"github": {"repositories": ["a/b"]}})
    done = ctl("check")
    assert done.returncode == 0
    assert "no credential for GitHub" in done.stderr


def test_check_of_a_document_for_another_host(ctl: Ctl, path: Path) -> None:
    write(path, {"github": {"repositories": ["a/b"], "token_file": "/not/on/this/host"}})
    assert "does not exist" in ctl("check").stderr
    done = ctl("check", "--document-only", "--config", str(path), CLAUDE_FLOW_MAX_TURNS="x")
    assert (done.returncode, done.stderr) == (0, "")


def test_show_is_plain_and_masks_secrets(ctl: Ctl, path: Path) -> None:
    done = ctl("show", CLAUDE_FLOW_SERVICE_LOG_LEVEL="DEBUG")
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert lines["github.token"] == ["***", f"{path}:6:14"]
    assert lines["service.log_level"] == ["DEBUG", "CLAUDE_FLOW_SERVICE_LOG_LEVEL"]
    assert lines["claude_flow.max_turns"] == ["50", "default"]
    assert "\x1b" not in done.stdout
    assert TOKEN not in done.stdout
    shown = json.loads(ctl("show", "--json").stdout)
    assert shown["github"]["token"] == "***"
    assert shown["github"]["repositories"] == ["acme/widgets"]


def test_get(ctl: Ctl) -> None:
    assert ctl("get", "github.api_url").stdout == "https://api.github.com\n"
    assert ctl("get", "github.repositories").stdout == '["acme/widgets"]\n'
    assert ctl("get", "github.token").stdout == "***\n"
    assert ctl("get", "github.token", "--reveal").stdout == f"{TOKEN}\n"
    assert json.loads(ctl("get", "github", "--json").stdout)["token"] == "***"
    assert json.loads(ctl("get", "github.api_url", "--json").stdout) == "https://api.github.com"


def test_an_unknown_key_is_wrong_usage_with_the_nearest_name(ctl: Ctl) -> None:
    for command in (("get",), ("explain",), ("set", "5")):
        done = ctl(command[0], "github.poll_interval_secnds", *command[1:])
        assert done.returncode == 2
        assert "did you mean github.poll_interval_seconds?" in done.stderr


def test_explain(ctl: Ctl, path: Path) -> None:
    done = ctl("explain", "github.token", CLAUDE_FLOW_GITHUB_TOKEN="another")
    fields = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    fields = {name: value.strip() for name, value in fields.items()}
    assert fields["value"] == "***"
    assert fields["layer"] == "environment"
    assert fields["from"] == "CLAUDE_FLOW_GITHUB_TOKEN"
    answer = json.loads(ctl("explain", "github.token", "--json").stdout)
    assert (answer["layer"], answer["source"], answer["line"]) == ("file", str(path), 6)
    assert answer["value"] == "***"


def test_schema_and_env_name_every_setting(ctl: Ctl) -> None:
    assert json.loads(ctl("schema").stdout)["title"] == "claude_flow configuration"
    listed = json.loads(ctl("env", "--json", CLAUDE_FLOW_GITHUB_TOKEN="x").stdout)["variables"]
    by_key = {entry["key"]: entry for entry in listed}
    assert by_key["github.token"]["variable"] == "CLAUDE_FLOW_GITHUB_TOKEN"
    assert by_key["github.token"]["set"]
    assert not by_key["engine.database_url"]["set"]
    assert len(ctl("env").stdout.splitlines()) == len(listed) + 1


class TestSet:
    def test_it_writes_the_file_and_only_that(self, ctl: Ctl, path: Path) -> None:
        done = ctl(
            "set", "github.poll_interval_seconds", "5", CLAUDE_FLOW_SERVICE_LOG_LEVEL="ERROR"
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(path.read_text()) == {
            "github": {
                "repositories": ["acme/widgets"],
                "token": TOKEN,
                "poll_interval_seconds": 5,
            }
        }

    def test_it_says_when_another_layer_wins(self, ctl: Ctl) -> None:
        done = ctl("set", "service.log_level", "DEBUG", CLAUDE_FLOW_SERVICE_LOG_LEVEL="ERROR")
        assert done.returncode == 0
        assert "CLAUDE_FLOW_SERVICE_LOG_LEVEL still wins" in done.stderr

    def test_a_secret_comes_from_standard_input_alone(self, ctl: Ctl, path: Path) -> None:
        refused = ctl("set", "github.token", "new-token")
        assert refused.returncode == 2
        assert "new-token" not in refused.stderr
        assert ctl("set", "github.token", "-", stdin="new-token\n").returncode == 0
        assert json.loads(path.read_text())["github"]["token"] == "new-token"

    @pytest.mark.parametrize(("value", "code"), [("abc", 2), ("0", 78)])
    def test_what_is_invalid_changes_nothing(
        self, ctl: Ctl, path: Path, value: str, code: int
    ) -> None:
        before = path.read_text()
        done = ctl("set", "claude_flow.max_turns", value)
        assert done.returncode == code
        assert "an integer from 1" in done.stderr
        assert path.read_text() == before


def test_migrate_prints_or_replaces(ctl: Ctl, path: Path) -> None:
    write(path, {"github": {"owner": "acme", "repo": "widgets", "token": TOKEN}})
    before = path.read_text()
    printed = ctl("migrate")
    assert json.loads(printed.stdout)["github"]["repositories"] == ["acme/widgets"]
    assert printed.stderr == "github.owner and github.repo became github.repositories\n"
    assert path.read_text() == before
    replaced = ctl("migrate", "--write")
    assert (replaced.returncode, replaced.stdout) == (0, "")
    assert ctl("check").returncode == 0
    assert ctl("migrate", "--write").stderr == "nothing to change\n"


def test_a_missing_named_file_is_one_clear_line(ctl: Ctl) -> None:
    done = ctl("show", "--config", "/nowhere/config.json")
    assert done.returncode == 78
    assert "/nowhere/config.json: does not exist" in done.stderr
    assert len(done.stderr.splitlines()) == 2
