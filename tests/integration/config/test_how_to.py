"""Each command of docs/how-to/configure.md does what the page says it does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from claude_flow.testing.checked_world import checked_world

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "how-to" / "configure.md"
PLACE = "/etc/claude-flow"


def steps() -> list[tuple[str, str]]:
    """Each command of the page and the output that it shows below it."""
    found: list[tuple[str, str]] = []
    blocks = re.findall(r"(?:^    .*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    for line in "".join(blocks).splitlines():
        text = line.removeprefix("    ")
        if text.startswith("$ "):
            found.append((text.removeprefix("$ "), ""))
        else:
            command, output = found[-1]
            found[-1] = (command, f"{output}{text}\n")
    return found


def test_every_command_does_what_the_page_shows(tmp_path: Path) -> None:
    place = str(tmp_path / "etc")
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with checked_world(tmp_path / "world") as world:
        world.github.add_repository("acme/widgets", private=True)
        app = world.github.install_app("acme", "my-app")
        (tmp_path / "my-app.private-key.pem").write_text(app.private_key, encoding="ascii")
        environ = {
            "PATH": programs,
            "TOKEN": world.token,
            "CLAUDE_FLOW_CONFIG": f"{place}/config.json",
            "CLAUDE_FLOW_GITHUB_API_URL": world.api_url,
        }
        # The page's names for what is the reader's own.
        ours = {PLACE: place, "123456": str(app.id), "7654321": str(app.installation_id)}
        for command, shown in steps():
            done = subprocess.run(
                ["bash", "-c", re.sub("|".join(ours), lambda name: ours[name[0]], command)],
                cwd=tmp_path,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=60,
            )
            output = done.stdout.replace(place, PLACE)
            # What the page shows in columns is read, not counted.
            assert output.split() == shown.split(), command
        bots = [line.login for line in world.server.requests if line.login]
        assert list(dict.fromkeys(bots)) == ["claude-flow-bot", "my-app[bot]"]
