"""The stand-in world: GitHub, git server and model provider, all on loopback.

``with World(directory) as world:`` in tests; ``python -m claude_flow.testing.world`` as a
process of its own.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from starlette.types import Receive, Scope, Send

from claude_flow.ports import Clock
from claude_flow.testing.control import PREFIX, Control
from claude_flow.testing.exchange import Checker
from claude_flow.testing.git_http import GitHttp
from claude_flow.testing.git_store import GitStore
from claude_flow.testing.github_server import GitHubServer
from claude_flow.testing.github_state import GitHubState
from claude_flow.testing.messages_api import MessagesApi
from claude_flow.testing.seed import plant
from claude_flow.testing.serving import LoopbackServer


def utc_now() -> datetime:
    """The wall clock."""
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
    scripted faults, ``token`` the service's access token, ``messages`` scripts the model.
    """

    def __init__(
        self,
        directory: Path,
        *,
        checker: Checker | None = None,
        clock: Clock = utc_now,
        host: str = "127.0.0.1",
        ports: Ports | None = None,
    ) -> None:
        ports = ports or Ports()
        self._api = LoopbackServer(host=host, port=ports.api)
        self._git = LoopbackServer(host=host, port=ports.git)
        self.api_url = self._api.url
        self.git_base_url = self._git.url
        store = GitStore(directory / "git")
        self.github = GitHubState(store, clock)
        self.token = self.github.add_token()
        self.server = GitHubServer(self.github, self._api, self.git_base_url, checker)
        self._control = Control(self.github, self.server, self.git_base_url).app
        self.git = GitHttp(self.github, store)
        self._messages = LoopbackServer(host=host, port=ports.messages)
        self.messages_url = self._messages.url
        self.messages = MessagesApi(self._messages)
        self._servers = (self._api, self._git, self._messages)

    def __enter__(self) -> Self:
        self._api.start(self._front)
        self._git.start(self.git.app)
        self._messages.start(self.messages.app)
        for server in self._servers:
            server.wait_until_started()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.begin_stop()
        for server in self._servers:
            server.stop()

    async def _front(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._control if scope["path"].startswith(PREFIX) else self.server
        await app(scope, receive, send)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a world as a process until SIGTERM or SIGINT.

    Prints one line of JSON when all answers: the addresses and the service's token.
    """
    options = _options(argv)
    enough = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: enough.set())
    ports = Ports(options.port, options.git_port, options.messages_port)
    try:
        stage = World(options.state, host=options.host, ports=ports)
    except OSError as error:
        sys.stderr.write(f"the stand-in world cannot begin: {error}\n")
        return 1
    with stage as world:
        issues = plant(world.github, options.seed)
        ready = {
            "api_url": world.api_url,
            "git_base_url": world.git_base_url,
            "messages_url": world.messages_url,
            "token": world.token,
            "issues": [str(ref) for ref in issues],
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        enough.wait()
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m claude_flow.testing.world",
        description="A GitHub, a git server and a model provider on loopback, to try things in.",
    )
    parser.add_argument("--state", type=Path, required=True, help="an empty directory of its own")
    parser.add_argument(
        "--seed",
        type=_seed,
        default={},
        metavar="FILE",
        help="JSON that describes repositories and issues",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    for name in ("--port", "--git-port", "--messages-port"):
        parser.add_argument(name, type=int, default=0, help="0, the default, is any free port")
    options = parser.parse_args(argv)
    if (options.state / "git").exists():
        parser.error(f"{options.state} holds an earlier world: give an empty directory")
    return options


def _seed(path: str) -> dict[str, Any]:
    try:
        seed = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{path}: {error}") from error
    if not isinstance(seed, dict):
        raise argparse.ArgumentTypeError(f"{path} does not hold a JSON object")
    return seed


if __name__ == "__main__":
    sys.exit(main())
