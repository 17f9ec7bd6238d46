"""The programs that targets are made with, and what was asked of them in vain."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# crun refuses a machine that mixes cgroup v1 and v2; runc takes both.
PODMAN = ("podman", "--runtime", "runc")


class TargetError(Exception):
    """The target cannot be made; the text says why and what to do."""


def run(*argv: str) -> str:
    """What the program printed. Raises TargetError with its complaint if it fails."""
    done = _completed(argv)
    if done.returncode:
        raise TargetError(f"{' '.join(argv[:4])} … ended with {done.returncode}: {done.stderr}")
    return done.stdout


def output(*argv: str) -> str:
    """What the program printed, whether it failed or not."""
    return _completed(argv).stdout


def succeeds(*argv: str) -> bool:
    """Whether the program ended with 0."""
    return _completed(argv).returncode == 0


def listed_packages(name: str) -> list[str]:
    """The packages that a list in ``tools/`` names, without its comments."""
    text = (ROOT / "tools" / name).read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _completed(argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    if not shutil.which(argv[0]):
        raise TargetError(
            f"{argv[0]} is not installed: install the packages of tools/packages-role.txt"
        )
    return subprocess.run(argv, check=False, capture_output=True, text=True)
