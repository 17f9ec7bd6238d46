"""What a release is made of, so that a host can be asked whether it has it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

# All that goes into the wheel (pyproject.toml).
_SOURCES = ("claude_flow", "schemas", "pyproject.toml", "README.md", "LICENSE")
_REQUIREMENTS = Path("requirements/runtime.txt")
_PIN = '{name} = "([^"]+)"'


def wheel(checkout: Path) -> str:
    """A digest of the wheel's content."""
    digest = hashlib.sha256()
    for top in _SOURCES:
        for path in sorted(_files(checkout / top)):
            content = path.read_bytes()
            name = path.relative_to(checkout).as_posix()
            digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def requirements(checkout: Path) -> str:
    """A digest of what asks for a whole new environment."""
    return hashlib.sha256((checkout / _REQUIREMENTS).read_bytes()).hexdigest()


def version(checkout: Path) -> str:
    """The release of the checkout."""
    return _pinned(checkout / "claude_flow" / "version.py", "__version__")


def claude_code_version(checkout: Path) -> str:
    """The release of Claude Code that comes with it."""
    return _pinned(checkout / "claude_flow" / "agents" / "versions.py", "CLAUDE_CODE_VERSION")


def _pinned(path: Path, name: str) -> str:
    found = re.search(_PIN.format(name=name), path.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{path} does not say {name}")
    return found[1]


def _files(top: Path) -> list[Path]:
    if top.is_file():
        return [top]
    return [path for path in top.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
