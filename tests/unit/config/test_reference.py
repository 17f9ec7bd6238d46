from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from claude_flow.config import config_schema

ROOT = Path(__file__).parents[3]


def test_the_reference_page_is_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_reference_page_names_every_setting_and_variable() -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    for setting in config_schema().settings.values():
        assert f"### `{setting.key}`\n" in page
        assert f"`{setting.variable}`" in page
