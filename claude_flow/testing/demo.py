"""``make demo``: three labelled issues become three pull requests, on this machine alone.

The stand-in world runs in this process; the service is the real daemon, a process of its own on
its defaults, told only where this world is. Like systemd, this starts it again if it dies.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from claude_flow.errors import ClaudeFlowError
from claude_flow.model.issue import IssueRef
from claude_flow.service.places import ADDRESS_FILE
from claude_flow.testing.demo_agents import DemoAgent, demo_agent
from claude_flow.testing.demo_screen import Row, Screen
from claude_flow.testing.seed import plant
from claude_flow.testing.world import World

_SEED = Path(__file__).with_name("demo_world.json")
_PACKAGE = Path(__file__).parents[1]
_TOKEN_MODE = 0o600
_LOOK_SECONDS = 0.2
_STOP_SECONDS = 30.0
_MOST_STARTS = 5
_LAST_LINES = 20
_ANSWER_SECONDS = 2.0


class DemoError(ClaudeFlowError):
    """The demo did not end as it should."""


@dataclass(frozen=True, slots=True)
class Paths:
    """What the service is given, in a directory that goes with the demo."""

    root: Path

    @property
    def state(self) -> Path:
        """The service's state directory."""
        return self.root / "state"

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.root / "config.json"

    @property
    def token(self) -> Path:
        """The file with the GitHub token."""
        return self.root / "github-token"

    @property
    def log(self) -> Path:
        """What the service said."""
        return self.root / "service.log"


class Service:
    """The real daemon as a child process, started again when it dies."""

    def __init__(self, paths: Paths, environment: dict[str, str]) -> None:
        self._paths = paths
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    @property
    def pid(self) -> int | None:
        """The daemon's process."""
        return None if self._process is None else self._process.pid

    @property
    def address(self) -> str | None:
        """Where its page is, None until it says so."""
        try:
            text = (self._paths.state / ADDRESS_FILE).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None
        return f"http://{text}/"

    def keep_running(self) -> str | None:
        """Start it if it is not running; the news, if it had died. Raises DemoError."""
        if self._process is not None and self._process.poll() is None:
            return None
        died = None if self._process is None else self._process.returncode
        if self._starts == _MOST_STARTS or (died is not None and died > 0):
            raise DemoError(f"the service ended with exit code {died}:\n{self._last_words()}")
        self._starts += 1
        with self._paths.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "claude_flow.daemon.main",
                    "--config",
                    str(self._paths.config),
                ],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demo, which then ends the service
            )
        return None if died is None else f"the service was killed (signal {-died}); started again"

    def activity(self) -> dict[str, str]:
        """What is being done for each issue, in a few words; empty while it does not answer."""
        if self.address is None:
            return {}
        try:
            # S310: the address is our own service's on loopback.
            with urlopen(f"{self.address}api/v1/state", timeout=_ANSWER_SECONDS) as answer:  # noqa: S310
                running = json.load(answer)["running"]
        except OSError:
            return {}
        return {run["issue"]: _words(run) for run in running}

    def stop(self) -> None:
        """End it; what it cannot finish in time is killed."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> str:
        lines = self._paths.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_LAST_LINES:])


def run(agent: DemoAgent, *, keep: bool, timeout_seconds: float) -> None:
    """Play the demo to its end. Raises ClaudeFlowError if it does not come to three."""
    with tempfile.TemporaryDirectory(prefix="claude-flow-demo-") as root:
        paths = Paths(Path(root))
        with World(paths.root / "world") as world:
            issues = plant(world.github, json.loads(_SEED.read_text(encoding="utf-8")))
            _configure(paths, world, issues, agent)
            service = Service(paths, _environment(world))
            screen = Screen([str(issue) for issue in issues])
            with _running(service):
                _watch(world, issues, service, screen, timeout_seconds)
                screen.finish(service.address, kept=keep)
                if keep:
                    _wait_for_interrupt(service, screen)


def _watch(
    world: World,
    issues: Sequence[IssueRef],
    service: Service,
    screen: Screen,
    timeout_seconds: float,
) -> None:
    begun = time.monotonic()
    with screen:
        while True:
            news = service.keep_running()
            if news:
                screen.say(news)
            activity = service.activity()
            seconds = time.monotonic() - begun
            rows = [_row(world, issue, activity.get(str(issue), ""), seconds) for issue in issues]
            screen.show(rows, seconds)
            if all(row.is_over for row in rows):
                break
            if time.monotonic() - begun > timeout_seconds:
                raise DemoError(f"not done after {timeout_seconds:.0f} s")
            time.sleep(_LOOK_SECONDS)
    failed = [IssueRef.parse(row.issue) for row in rows if row.pull_request is None]
    if failed:
        told = "\n".join(f"{issue}: {_last_comment(world, issue)}" for issue in failed)
        raise DemoError(f"not every issue got its pull request\n{told}")


def _last_comment(world: World, issue: IssueRef) -> str:
    return "".join(comment.body for comment in world.github.comments(issue)[-1:])


def _words(run: dict[str, Any]) -> str:
    words = [run["phase"] or "", f"turn {run['turns']}" if run["turns"] else ""]
    return ", ".join(word for word in words if word)


def _row(world: World, issue: IssueRef, activity: str, seconds: float) -> Row:
    """Where an issue stands, as GitHub shows it: its labels and its pull request."""
    labels = world.github.labels(issue)
    pulls = [
        f"{world.git_base_url}/{issue.repository}/pull/{pull.number}"
        for pull in world.github.pull_requests(issue.repository)
        if pull.head == f"claude-flow/issue-{issue.number}"
    ]
    return Row.of(str(issue), labels, pulls, activity, seconds)


def _configure(paths: Paths, world: World, issues: Sequence[IssueRef], agent: DemoAgent) -> None:
    paths.token.touch(_TOKEN_MODE)
    paths.token.write_text(world.token, encoding="ascii")
    # Everything not said here is the embedded default.
    paths.config.write_text(
        json.dumps(
            {
                "github": {
                    "token_file": str(paths.token),
                    "api_url": world.api_url,
                    "git_base_url": world.git_base_url,
                    "repositories": sorted({str(issue.repository) for issue in issues}),
                },
                "service": {
                    "state_directory": str(paths.state),
                    "workspace_root": str(paths.state / "workspaces"),
                },
                "claude_flow": agent.settings,
                # The scripted agent is a module of this package.
                "execution": {"readable_paths": [str(_PACKAGE)]},
                "monitoring": {
                    "http_port": 0,
                    "status_file": str(paths.state / "status.json"),
                },
            },
            indent=2,
        ),
        encoding="utf-8",
    )


def _environment(world: World) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    return {
        **inherited,
        "ANTHROPIC_BASE_URL": world.messages_url,
        "ANTHROPIC_API_KEY": "any-key-will-do-for-the-stand-in",
    }


@contextmanager
def _running(service: Service) -> Iterator[None]:
    try:
        yield
    finally:
        service.stop()


def _wait_for_interrupt(service: Service, screen: Screen) -> None:
    try:
        while True:
            news = service.keep_running()
            if news:
                screen.say(news)
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        screen.say("stopping")


def main(argv: Sequence[str] | None = None) -> int:
    """The demo's exit code: 0 if every issue got its pull request."""
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument(
        "--agent", choices=["scripted", "claude", "claude-flow"], default="scripted"
    )
    parser.add_argument("--keep", action="store_true", help="stay up until interrupted")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds until it gives up")
    options = parser.parse_args(argv)
    # Not whatever SIGINT has: a shell's background job ignores that one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(demo_agent(options.agent), keep=options.keep, timeout_seconds=options.timeout)
    except ClaudeFlowError as error:
        sys.stderr.write(f"demo: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("demo: interrupted\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
