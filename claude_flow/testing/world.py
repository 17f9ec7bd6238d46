"""The stand-in world: GitHub, git server and model provider, all on loopback.

``with World(directory) as world:`` in tests; ``python -m claude_flow.testing.world`` as a
process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from claude_flow.ports import Clock
from claude_flow.testing.exchange import Checker
from claude_flow.testing.git_http import GitHttp
from claude_flow.testing.git_store import GitStore
from claude_flow.testing.github_server import GitHubServer
from claude_flow.testing.github_state import GitHubState
from claude_flow.testing.serving import LoopbackServer


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where to listen; 0 is any free port."""

    api: int = 0
    git: int = 0
    messages: int = 0


class World:
    """A running stand-in world; its repositories live under ``directory``.

    ``github`` is the handle on its state, ``server`` has the request log, the rate limit and
    scripted faults, ``token`` the service's access token.
    """

    def __init__(
        self,
        directory: Path,
        *,
        checker: Checker | None = None,
        clock: Clock = _utc_now,
        host: str = "127.0.0.1",
        ports: Ports | None = None,
    ) -> None:
        ports = ports or Ports()
        self._api = LoopbackServer(host=host, port=ports.api)
        self._git = LoopbackServer(host=host, port=ports.git)
        self.api_url = self._api.url
        self.git_base_url = self._git.url
        self.github = GitHubState(GitStore(directory / "git"), clock)
        self.token = self.github.add_token()
        self.server = GitHubServer(self.github, self._api, self.git_base_url, checker)
        self.git = GitHttp(self.github)

    def __enter__(self) -> Self:
        self._api.start(self.server)
        self._git.start(self.git.app)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in (self._api, self._git):
            server.stop()
