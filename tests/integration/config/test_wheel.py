"""The built wheel holds the schemas and finds them without the checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_wheel_brings_its_schemas(tmp_path: Path) -> None:
    build = [sys.executable, "tools/build_wheel.py", str(tmp_path)]
    subprocess.run(build, check=True, capture_output=True, cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    in_checkout = {path.name for path in (ROOT / "schemas").glob("*.json")}
    in_wheel = {path.name for path in (tmp_path / "site/claude_flow/schemas").glob("*.json")}
    assert in_checkout == in_wheel
    code = (
        "import sys; from claude_flow.config import ConfigManager, schema_path;"
        "assert str(schema_path('config.schema.json')).startswith(sys.argv[1]);"
        "print(ConfigManager.load(environ={}).get('github.poll_interval_seconds'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "site")],
        env={"PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("30\n", "")
