"""Texts of files and what programs print; nothing where there is none."""

from __future__ import annotations

import subprocess
from pathlib import Path


def text(path: Path) -> str:
    """What is in a file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def said(*argv: str) -> str:
    """What a program printed."""
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
