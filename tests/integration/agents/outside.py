"""What an attempt writes outside its own folders, told apart from what others write there."""

import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from claude_flow.ports import AgentCommand
from tests.real_agents import REPOSITORY


class Outside:
    """Lays directories of its own over the places where programs leave things.

    The agent sees them empty; what is in them afterwards, the agent has left there. ``root``
    is where its own folders are, which it sees as they are.
    """

    def __init__(self, root: Path) -> None:
        bwrap = shutil.which("bwrap")
        assert bwrap is not None, "install bubblewrap: it shows what agents write elsewhere"
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
        runtime = Path("/run/user", str(os.getuid()))
        temporary = {Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")}
        places = sorted(place for place in {home, runtime, *temporary} if place.is_dir())
        self._kept = {place: root / "outside" / str(place)[1:] for place in places}
        # Programs of the test's own may be in its user's home.
        self._shown = {root, REPOSITORY, Path(sys.prefix), Path(sys.base_prefix)}
        self._options = [bwrap, "--dev-bind", "/", "/"]
        for place, kept in self._kept.items():
            kept.mkdir(parents=True)
            self._options += ["--bind", str(kept), str(place)]
        for path in sorted(self._shown):
            self._options += ["--bind", str(path), str(path)]

    def around(self, command: AgentCommand) -> AgentCommand:
        """The command, started so that it is seen."""
        return replace(command, argv=(*self._options, "--", *command.argv))

    def left(self) -> list[Path]:
        """What the agent left, as the paths it used."""
        return sorted(
            place / path.relative_to(kept)
            for place, kept in self._kept.items()
            for path in self._below(kept)
            if not self._is_way_to_shown(place / path.relative_to(kept))
        )

    def _below(self, kept: Path) -> Iterator[Path]:
        others = [other for other in self._kept.values() if other != kept]
        return (
            path
            for path in kept.rglob("*")
            if not any(path.is_relative_to(other) or other.is_relative_to(path) for other in others)
        )

    def _is_way_to_shown(self, path: Path) -> bool:
        return path.is_dir() and any(shown.is_relative_to(path) for shown in self._shown)


def changed_since(moment: float, directory: Path) -> list[Path]:
    """What is new or changed below a directory since a moment of the wall clock."""
    return [path for path in directory.rglob("*") if path.lstat().st_ctime >= moment]
