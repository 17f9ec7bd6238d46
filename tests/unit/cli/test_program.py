"""The program from outside, where it needs neither service nor systemd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from claude_flow.version import __version__

_HEAVY = ("dbos", "sqlalchemy", "github3", "psutil", "sdbus", "rich", "starlette", "jsonschema")


def ctl(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("claude-flowctl")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [program, *arguments],
        env=kept | {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_command() -> None:
    text = ctl("--help").stdout
    for command in ("status", "start", "stop", "restart", "reload", "enable", "disable", "kill"):
        assert f"\n  {command} " in text
    for command in ("logs", "run", "runs", "usage", "config", "doctor"):
        assert f"\n  {command} " in text
    assert "\x1b" not in text


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; import claude_flow.cli.main;"
        f"print([name for name in {_HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_version() -> None:
    assert ctl("--version").stdout == f"claude-flowctl {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("status", "--nonsense"),
        ("stop", "--timeout", "soon"),
        ("runs", "show"),
        ("usage", "--by", "moon"),
    ],
)
def test_wrong_usage_is_2(arguments: tuple[str, ...]) -> None:
    done = ctl(*arguments)
    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [("status",), ("runs", "list"), ("start",)])
def test_an_invalid_configuration_is_78_and_says_every_fault(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"github": {"poll_interval_seconds": "x"}, "monitoring": {"port": 1}}')
    done = ctl("--config", str(path), *arguments)
    assert done.returncode == 78
    assert "github.poll_interval_seconds" in done.stderr
    assert "monitoring.port" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_file_that_cannot_be_read_is_said_plainly(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    state = tmp_path / "state"
    state.mkdir()
    (state / "http-address").mkdir()  # not a file: it cannot be read
    document = {"service": {"state_directory": str(state)}, "monitoring": {"http_port": 0}}
    path.write_text(json.dumps(document))
    done = ctl("--config", str(path), "runs", "list")
    assert done.returncode == 1
    assert "http-address cannot be read" in done.stderr


def test_a_state_that_is_no_database_is_said_plainly(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    (tmp_path / "state.db").write_text("nonsense " * 500)
    document = {"service": {"state_directory": str(tmp_path)}, "monitoring": {"http_port": 0}}
    path.write_text(json.dumps(document))
    done = ctl("--config", str(path), "runs", "list")
    assert done.returncode == 75
    assert "state.db" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_is_no_fault(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("claude-flowctl")
    done = subprocess.run(
        ["/bin/sh", "-c", f'"{program}" config schema | head -1'],
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "{\n"
    assert done.stderr == ""
