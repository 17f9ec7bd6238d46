"""Build the checkout's wheel into a directory, with what this Python has for it.

    python tools/build_wheel.py DIRECTORY

The same files give the same bytes, so the wheel's checksum tells whether anything changed.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Build, or say in one line what this Python lacks."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and its one argument
        sys.exit("usage: build_wheel.py DIRECTORY")
    directory = str(Path(sys.argv[1]).resolve())
    if find_spec("hatchling") is not None:
        build = ["-m", "hatchling", "build", "--target", "wheel", "--directory", directory]
    elif find_spec("pip") is not None:  # fetches hatchling for itself
        build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", directory, "."]
    else:
        sys.exit(
            f"build_wheel: {sys.executable} has neither hatchling nor pip; install one of them "
            "beside Ansible"
        )
    sys.exit(subprocess.run([sys.executable, *build], cwd=CHECKOUT, check=False).returncode)


if __name__ == "__main__":
    main()
