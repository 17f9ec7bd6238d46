"""GitHub's secrets are in the operator's file and the daemon's memory, and nowhere else."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil
import pytest

from claude_flow.testing.daemon_process import DaemonProcess, until
from claude_flow.testing.installation import Installation

# An agent that looks for the token wherever a curious program would.
SPY = """
loot = Path({loot!r})
loot.mkdir(exist_ok=True)
def note(name, data):
    with open(loot / name, "ab") as f: f.write(data + b"\\n")
for process in Path("/proc").glob("[0-9]*"):
    for name in ("environ", "cmdline"):
        try: note(name, (process / name).read_bytes())
        except OSError: pass
for argv in (["git", "config", "--list", "--show-origin"], ["git", "remote", "-v"], ["env"]):
    note("told", subprocess.run(argv, capture_output=True).stdout)
for file in Path.cwd().rglob("*"):
    if file.is_file(): note("workspace", file.read_bytes())
note("own", Path("/proc/self/environ").read_bytes())
Path("greeting.txt").write_text("Hello!\\n")
while not os.path.exists({go!r}): print(".", flush=True); time.sleep(.05)
"""


@cache
def appearances(token: str) -> list[bytes]:
    """The token as it could be written: plain, and in Basic credentials."""
    basic = (
        base64.b64encode(text.encode()).rstrip(b"=")
        for text in (f"x-access-token:{token}", f":{token}", token)
    )
    return [token.encode(), *basic]


class Search:
    """Where one of the secrets was found; ``looked`` tells how much was searched."""

    def __init__(self, secrets: Callable[[], Iterable[str]]) -> None:
        self._secrets = secrets
        self.found: list[str] = []
        self.looked = 0

    def look(self, where: str, data: bytes) -> None:
        self.looked += 1
        if any(form in data for secret in self._secrets() for form in appearances(secret)):
            self.found.append(where)

    def look_at_files(self, directory: Path) -> None:
        for file in directory.rglob("*"):
            try:
                if file.is_file() and not file.is_symlink():
                    self.look(str(file), file.read_bytes())
            except FileNotFoundError:
                continue  # the daemon lives, its files come and go

    def look_at_processes(self, daemon: DaemonProcess) -> None:
        try:
            top = psutil.Process(daemon.pid)
            family = [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in family:
            for name in ("environ", "cmdline"):
                try:
                    data = Path(f"/proc/{process.pid}/{name}").read_bytes()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                self.look(f"{name} of {data[:80]!r}", data)


@contextmanager
def repeated(look: Callable[[], None]) -> Iterator[None]:
    """Look again and again, from a thread, until the end of the ``with``."""
    enough = threading.Event()

    def watch() -> None:
        while not enough.wait(0.005):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def test_a_search_finds_what_is_there(tmp_path: Path) -> None:
    token = "ghp_" + "0123456789ab" * 3
    basic = base64.b64encode(f"x-access-token:{token}".encode())
    for name, data in {"plain": token.encode(), "basic": b"Basic " + basic, "none": b"-"}.items():
        (tmp_path / name).write_bytes(b"before " + data + b" after")
    search = Search(lambda: [token])
    search.look_at_files(tmp_path)
    assert sorted(Path(where).name for where in search.found) == ["basic", "plain"]


def secrets_of(installation: Installation, credential: str) -> Callable[[], list[str]]:
    """What nobody may see: the token, or an App's key and all the tokens it ever got."""
    world = installation.world
    if credential == "token":
        return lambda: [world.token]
    app = installation.act_as_app("acme", token_seconds=302)
    lines = app.private_key.splitlines()[1:-1]
    return lambda: [*lines, *(token for token in list(world.github.tokens) if token != world.token)]


@pytest.mark.parametrize("credential", ["token", "app"])
def test_the_secret_is_nowhere_during_a_whole_run(
    installation: Installation, tmp_path: Path, credential: str
) -> None:
    loot, go = tmp_path / "loot", tmp_path / "go"
    installation.configure(service={"log_level": "DEBUG"})
    issue = installation.issue(
        installation.add_repository("acme/secretive"), SPY.format(loot=str(loot), go=str(go))
    )
    secrets = secrets_of(installation, credential)
    search = Search(secrets)
    daemon = installation.start()
    with repeated(lambda: search.look_at_processes(daemon)):
        until((loot / "own").exists, daemon.last_words)
        search.look_at_files(installation.state)
        go.touch()
        run = installation.ended(daemon, issue)
    assert run["reason"] == "pull_request_opened"

    paths = ["/", "/health", "/health/live", "/health/ready", "/metrics", "/nothing-here"]
    paths += ["/api/v1/state", "/api/v1/runs", f"/api/v1/runs/{run['id']}"]
    paths += [f"/api/v1/runs/{run['id']}/events"]
    for path in paths:
        answer = daemon.ask(path)
        search.look(path, answer.body + repr(answer.headers).encode())
    until((installation.state / "status.json").exists, "the status file")
    assert daemon.stop() == 0

    search.look("the log", daemon.log.encode())
    search.look_at_files(installation.state)
    search.look_at_files(loot)
    github = installation.world.github
    for comment in github.comments(issue):
        search.look("a comment", comment.body.encode())
    for pull in github.pull_requests(issue.repository):
        search.look("a pull request", f"{pull.title}{pull.body}".encode())
    search.look_at_files(tmp_path / "world" / "git")
    assert search.found == []
    assert search.looked > 200
    assert len(secrets()) == 1 if credential == "token" else len(secrets()) > 10
    assert (installation.state / "api-token").stat().st_mode & 0o777 == 0o600


def test_the_agents_environment_is_the_allow_list_and_the_documented_names(
    installation: Installation, tmp_path: Path
) -> None:
    installation.configure(
        github={"token_file": None},
        claude_flow={
            "environment_allowlist": ["ANTHROPIC_API_KEY", "PATH", "LANG", "NOT_SET_HERE"]
        },
    )
    seen = tmp_path / "seen"
    issue = installation.issue(
        installation.add_repository("acme/frugal"),
        f"Path({str(seen)!r}).write_bytes(Path('/proc/self/environ').read_bytes())\n"
        f"Path({str(seen)!r} + '.cwd').write_text(os.getcwd())",
    )
    daemon = installation.start(
        environ={
            "CLAUDE_FLOW_GITHUB_TOKEN": installation.world.token,
            "ANTHROPIC_API_KEY": "a-key-for-the-agent",
            "LANG": "C.UTF-8",
            "GITHUB_TOKEN": "never-for-the-agent",
            "AWS_SECRET_ACCESS_KEY": "never-for-the-agent",
            "LD_LIBRARY_PATH": "/never/for/the/agent",
            "GIT_DIR": "/never/for/the/agent",
        }
    )
    run = installation.ended(daemon, issue)

    pairs = (pair.partition("=") for pair in seen.read_text().split("\0") if pair)
    environment = {name: value for name, _, value in pairs}
    workspace = seen.with_name("seen.cwd").read_text()
    attempt = installation.state / "runs" / run["id"] / "1"
    path = environment.pop("PATH")
    assert installation.environ["PATH"] in path
    assert Path(environment.pop("HOME")).is_relative_to(attempt)
    assert Path(environment.pop("TMPDIR")).is_relative_to(attempt)
    assert environment == {
        "ANTHROPIC_API_KEY": "a-key-for-the-agent",
        "LANG": "C.UTF-8",
        "CLAUDE_FLOW_RUN_ID": run["id"],
        "CLAUDE_FLOW_ISSUE": str(issue),
        "CLAUDE_FLOW_WORKSPACE": workspace,
    }


@pytest.mark.parametrize("ending", ["succeeds", "fails"])
def test_an_agent_that_tells_the_token_is_not_quoted(
    installation: Installation, ending: str
) -> None:
    """Without a sandbox it can read the operator's file; nobody else gets to."""
    installation.configure(claude_flow={"max_attempts": 1}, execution={"sandbox": "off"})
    summary = {"type": "result", "subtype": "success", "is_error": ending == "fails"}
    issue = installation.issue(
        installation.add_repository("acme/talkative"),
        f"token = Path({str(installation.token_file)!r}).read_text().strip()\n"
        "Path('greeting.txt').write_text('Hello!')\n"
        "print('I know', token, file=sys.stderr, flush=True)\n"
        f"print(json.dumps({summary!r} | {{'result': 'I know ' + token}}), flush=True)",
    )
    daemon = installation.start()
    run = installation.ended(daemon, issue)

    search = Search(lambda: [installation.world.token])
    github = installation.world.github
    (comment,) = github.comments(issue)
    pulls = github.pull_requests(issue.repository)
    said = comment.body + "".join(pull.body for pull in pulls)
    assert "I know" in said
    search.look("GitHub", said.encode())
    search.look("the run", json.dumps(run).encode())
    search.look("the log", daemon.log.encode())
    assert search.found == []
    assert len(pulls) == (0 if ending == "fails" else 1)
