"""What an agent in the sandbox reaches of its host, tried by agents of the real daemon."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from claude_flow.model.issue import IssueRef
from claude_flow.testing.daemon_process import DaemonProcess, until
from claude_flow.testing.installation import Installation

# Writes down what reading each of ``paths`` gives: names, a text, or the error's name.
LOOK = """
seen = {}
for path in map(Path, paths):
    try:
        names = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else None
        seen[str(path)] = path.read_text(errors="replace") if names is None else names
    except OSError as error:
        seen[str(path)] = type(error).__name__
Path("seen.json").write_text(json.dumps(seen))
"""
# Writes down whether each of ``addresses`` takes a connection.
CONNECT = """
import socket
seen = {}
for host, port in addresses:
    try:
        socket.create_connection((host, port), 10).close()
        seen[f"{host}:{port}"] = "connected"
    except OSError as error:
        seen[f"{host}:{port}"] = type(error).__name__
Path("seen.json").write_text(json.dumps(seen))
"""
NOTHING = "FileNotFoundError"


@pytest.fixture
def host(installation: Installation) -> Installation:
    """An installation whose agents see no more than they do on a user's host."""
    installation.settings["execution"] = {"sandbox": "required"}
    installation.configure()
    return installation


@pytest.fixture
def listener() -> Iterator[tuple[str, int]]:
    """A server of this host's, on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


def look(*paths: str | Path) -> str:
    return f"paths = {[str(path) for path in paths]!r}\n{LOOK}"


def seen(installation: Installation, issue: IssueRef) -> dict[str, Any]:
    """What such an agent found, as it stands in its pull request."""
    branch = f"claude-flow/issue-{issue.number}"
    files = installation.world.github.files(issue.repository, branch)
    found: dict[str, Any] = json.loads(files["seen.json"])
    return found


def found_by(installation: Installation, daemon: DaemonProcess, work: str) -> dict[str, Any]:
    issue = installation.issue("acme/curious", work)
    run = installation.ended(daemon, issue)
    assert run["reason"] == "pull_request_opened", daemon.last_words()
    return seen(installation, issue)


def test_of_the_service_and_of_the_host_an_agent_sees_nothing(host: Installation) -> None:
    host.add_repository("acme/curious")
    diary = host.root / "home" / "diary"
    diary.write_text("of the host's user")
    daemon = host.start()
    until((host.state / "api-token").exists, "the API token")
    hidden = (
        host.state / "state.db",
        host.state / "api-token",
        host.config,
        host.token_file,
        diary,
        "/etc/claude-flow",
        "/etc/shadow",
        "/run",
        "/var/lib",
        "/home",
        f"/proc/{daemon.pid}/environ",
    )
    assert all(path.exists() for path in map(Path, hidden[:5]))
    found = found_by(host, daemon, look(*hidden, host.state, host.state / "runs"))
    (run,) = daemon.runs(IssueRef.parse("acme/curious#1"))
    # Of the state directory there is only the way to what is the run's own.
    assert set(found.pop(str(host.state))) == {"repos", "runs", "workspaces"}
    assert found.pop(str(host.state / "runs")) == [run["id"]]
    assert set(found.values()) == {NOTHING}


def test_its_own_files_are_no_more_than_its_work_needs(host: Installation) -> None:
    host.add_repository("acme/curious")
    daemon = host.start()
    work = (
        "run = Path(os.environ['CLAUDE_FLOW_WORKSPACE']).parents[1] / 'runs' / "
        "os.environ['CLAUDE_FLOW_RUN_ID']\n"
        "paths = [run, run / '1', Path(os.environ['HOME']), '/tmp']\n"
        "Path(os.environ['HOME'], 'kept').touch(); Path('/tmp/own').touch()\n"
    )
    found = found_by(host, daemon, work + LOOK)
    names = list(found.values())
    # Neither its own logs, nor its spec, nor what the daemon publishes from.
    assert names[:2] == [["1", "repo.git"], ["scratch"]]
    assert names[2] == ["kept"]
    assert "own" in names[3]
    assert not Path("/tmp/own").exists()


def test_processes_of_others_are_not_there(host: Installation) -> None:
    host.add_repository("acme/curious")
    daemon = host.start()
    work = (
        "ids = sorted(int(name) for name in os.listdir('/proc') if name.isdigit())\n"
        f"try:\n    os.kill({daemon.pid}, 0)\n    alive = True\nexcept ProcessLookupError:\n"
        "    alive = False\n"
        "words = [Path('/proc', str(i), 'cmdline').read_text() for i in ids]\n"
        "Path('seen.json').write_text(json.dumps(dict(ids=ids, alive=alive, words=words)))"
    )
    found = found_by(host, daemon, work)
    assert found["alive"] is False
    assert len(found["ids"]) < 6 < len(psutil.pids())
    assert not any("claude_flow.daemon" in text for text in found["words"])


def test_another_runs_workspace_is_not_there(host: Installation) -> None:
    host.configure(service={"max_concurrent_runs": 2})
    for name in ("acme/curious", "acme/busy"):
        host.add_repository(name)
    busy = host.issue("acme/busy", "while not os.path.exists('go'): print('.', flush=True)\n")
    daemon = host.start()
    until(lambda: "executing" in [run["phase"] for run in daemon.runs(busy)], "the other agent")
    (other,) = daemon.runs(busy)
    workspaces = host.state / "workspaces"
    assert (workspaces / other["id"] / ".git").exists()
    found = found_by(host, daemon, look(workspaces / other["id"], workspaces, host.state / "repos"))
    assert found[str(workspaces / other["id"])] == NOTHING
    assert len(found[str(workspaces)]) == 1
    assert found[str(host.state / "repos")] == ["acme"]
    (workspaces / other["id"] / "go").touch()
    assert host.ended(daemon, busy)["reason"] == "pull_request_opened"


def test_what_is_not_its_own_cannot_be_changed(host: Installation) -> None:
    host.add_repository("acme/curious")
    daemon = host.start()
    work = (
        "seen = []\n"
        "mirror = Path(os.environ['CLAUDE_FLOW_WORKSPACE']).parents[1] / 'repos/acme/curious.git'\n"
        "for path in ('/usr/bin/x', '/etc/hosts', '/x', '/proc/sys/kernel/core_pattern', "
        "mirror / 'objects/x'):\n"
        "    try:\n"
        "        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))\n"
        "        seen.append(str(path))\n"
        "    except OSError:\n"
        "        pass\n"
        "Path('seen.json').write_text(json.dumps(seen))"
    )
    assert list(found_by(host, daemon, work)) == []


def test_no_program_gives_it_rights(host: Installation) -> None:
    host.add_repository("acme/curious")
    daemon = host.start()
    work = (
        "lines = [line.split() for line in Path('/proc/self/status').read_text().splitlines()]\n"
        "names = ('CapEff:', 'CapBnd:', 'NoNewPrivs:')\n"
        "seen = {line[0]: line[1] for line in lines if line[0] in names}\n"
        "Path('seen.json').write_text(json.dumps(seen))"
    )
    none = "0" * 16
    assert found_by(host, daemon, work) == {"CapEff:": none, "CapBnd:": none, "NoNewPrivs:": "1"}


def test_what_it_makes_beside_its_own_is_gone_with_it(host: Installation) -> None:
    host.add_repository("acme/curious")
    daemon = host.start()
    work = (
        "state = Path(os.environ['CLAUDE_FLOW_WORKSPACE']).parents[1]\n"
        "for path in (state / 'repos/acme/curious.git/config', state / 'evil', '/tmp/evil'):\n"
        "    with contextlib.suppress(OSError):\n        Path(path).write_text('evil')\n"
        "Path('seen.json').write_text('{}')"
    )
    found_by(host, daemon, f"import contextlib\n{work}")
    assert not (host.state / "evil").exists()
    assert not Path("/tmp/evil").exists()
    assert "evil" not in (host.state / "repos/acme/curious.git/config").read_text()


def test_git_works_and_commits_are_kept(host: Installation) -> None:
    host.add_repository("acme/curious")
    daemon = host.start()
    work = (
        "Path('made.txt').write_text('by it')\n"
        "def git(*words): return subprocess.run(['git', *words], check=True, "
        "capture_output=True, text=True).stdout\n"
        "git('add', '.'); git('commit', '-qm', 'One of its own')\n"
        "Path('seen.json').write_text(json.dumps(git('log', '--format=%s').splitlines()))"
    )
    found = found_by(host, daemon, work)
    assert next(iter(found)) == "One of its own"
    assert len(found) == 2


def test_of_large_files_it_sees_its_own_repositorys_and_gets_them_back(host: Installation) -> None:
    host.configure(workspace={"lfs": True})
    attributes = {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"}
    for name in ("acme/curious", "acme/other"):
        content = f"large in {name}".encode()
        oid = hashlib.sha256(content).hexdigest()
        pointer = (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"
        )
        host.add_repository(name, files={**attributes, "big.bin": pointer})
        stored = host.world.git.path(name) / "lfs/objects" / oid[:2] / oid[2:4] / oid
        stored.parent.mkdir(parents=True)
        stored.write_bytes(content)
    daemon = host.start()
    other = host.issue("acme/other", "Path('big.bin').write_text('changed')")
    assert host.ended(daemon, other)["reason"] == "pull_request_opened", daemon.last_words()
    assert (
        "oid sha256:" in host.world.github.files(other.repository, "claude-flow/issue-1")["big.bin"]
    )
    work = (
        "Path('big.bin').unlink()\n"
        "subprocess.run(['git', 'checkout', '-q', '--', 'big.bin'], check=True)\n"
        "repos = Path(os.environ['CLAUDE_FLOW_WORKSPACE']).parents[1] / 'repos/acme'\n"
        "lfs = repos / 'curious.git/lfs'\n"
        "def can_write():\n"
        "    try:\n        (lfs / 'objects/x').touch()\n    except OSError:\n        return False\n"
        "    return True\n"
        "seen = dict(back=Path('big.bin').read_text(), repos=os.listdir(repos), "
        "lfs=os.listdir(lfs), can_write=can_write())\n"
        "Path('seen.json').write_text(json.dumps(seen))"
    )
    assert found_by(host, daemon, work) == {
        "back": "large in acme/curious",
        "repos": ["curious.git"],
        "lfs": ["objects"],
        "can_write": False,
    }


def test_an_open_network_reaches_the_host(host: Installation, listener: tuple[str, int]) -> None:
    host.add_repository("acme/curious")
    daemon = host.start()
    found = found_by(host, daemon, f"addresses = {[listener]!r}\n{CONNECT}")
    assert set(found.values()) == {"connected"}


def test_a_closed_network_reaches_nothing(host: Installation, listener: tuple[str, int]) -> None:
    host.add_repository("acme/curious")
    host.configure(execution={"network": "closed"})
    daemon = host.start()
    addresses = [listener, ("169.254.169.254", 80), ("192.0.2.1", 443), ("example.org", 443)]
    found = found_by(host, daemon, f"addresses = {addresses!r}\n{CONNECT}")
    assert "connected" not in found.values()
    assert len(found) == 4


# --- where it cannot be made --------------------------------------------------------------------


def without_bubblewrap(host: Installation) -> dict[str, str]:
    """An environment in whose PATH there is all of the system's, but no bubblewrap."""
    programs = host.root / "bin"
    programs.mkdir()
    for program in Path("/usr/bin").iterdir():
        if program.name != "bwrap":
            (programs / program.name).symlink_to(program)
    return {"PATH": str(programs)}


def with_a_broken_one(host: Installation) -> dict[str, str]:
    """One in which bubblewrap is there, but may not make namespaces."""
    environ = without_bubblewrap(host)
    bwrap = Path(environ["PATH"], "bwrap")
    bwrap.write_text("#!/bin/sh\necho 'bwrap: No permissions to make a namespace' >&2; exit 1\n")
    bwrap.chmod(0o700)
    return environ


@pytest.mark.parametrize("lacking", [without_bubblewrap, with_a_broken_one])
@pytest.mark.parametrize(
    "execution", [{"sandbox": "required"}, {"network": "closed"}, {"network": "hosts"}]
)
def test_what_needs_it_is_refused(
    host: Installation, lacking: Any, execution: dict[str, str]
) -> None:
    host.add_repository("acme/curious")
    host.settings["execution"] = execution
    host.configure()
    environ = lacking(host)
    for arguments in (["--check"], []):
        daemon = host.start(*arguments, environ=environ)
        assert daemon.wait() == 78
        words = daemon.last_words()
        assert f"execution.{next(iter(execution))}" in words
        assert "install the package bubblewrap" in words or "user namespaces" in words
    assert doctors_word(host, environ)["status"] == "fail"


def test_without_it_the_log_and_doctor_say_so_and_work_goes_on(host: Installation) -> None:
    host.add_repository("acme/curious")
    host.settings["execution"] = {}
    host.configure()
    environ = without_bubblewrap(host)
    daemon = host.start(environ=environ)
    for _ in range(2):
        issue = host.issue("acme/curious", look(host.token_file))
        host.ended(daemon, issue)
    assert "FileNotFoundError" not in seen(host, issue).values()
    assert host.log.read_text().count("bubblewrap is not installed") == 1
    word = doctors_word(host, environ)
    assert word["status"] == "warn"
    assert word["hint"].startswith("install the package bubblewrap")


def test_off_is_told(host: Installation) -> None:
    host.add_repository("acme/curious")
    host.configure(execution={"sandbox": "off"})
    daemon = host.start()
    assert set(found_by(host, daemon, look(host.token_file)).values()) != {NOTHING}
    assert "execution.sandbox is off" in host.log.read_text()
    assert doctors_word(host, {})["status"] == "warn"


def doctors_word(host: Installation, environ: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "claude_flow.cli.main",
            "--config",
            str(host.config),
            "doctor",
            "--json",
        ],
        env={**host.environ, **environ},
        stdout=subprocess.PIPE,
        check=False,
    )
    (word,) = [
        finding for finding in json.loads(done.stdout)["findings"] if finding["check"] == "sandbox"
    ]
    found: dict[str, Any] = word
    return found
