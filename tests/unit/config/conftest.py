from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claude_flow.config import ConfigError, ConfigManager

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file below the test's directory: a JSON value or a text, 0640 unless said."""

    def write_file(content: Any, name: str = "config.json", mode: int = 0o640) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content, indent=2)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    return write_file


@pytest.fixture
def faults() -> Callable[..., list[str]]:
    """Loads what must be refused, in an empty environment unless said; each fault as text."""

    def load(path: str | Path | None = None, **named: Any) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            ConfigManager.load(path, **{"environ": {}, **named})
        return [str(problem) for problem in caught.value.problems]

    return load
