import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import claude_flow.testing.world

DEMO = Path(claude_flow.testing.world.__file__).with_name("demo_world.json")


class Process:
    def __init__(self, state: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "claude_flow.testing.world", "--state", state, "--seed", DEMO],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.process.stdout.readline())

    def get(self, view: str) -> Any:
        return requests.get(f"{self.ready['api_url']}/_world/{view}", timeout=10).json()

    def post(self, action: str, **data: Any) -> requests.Response:
        url = f"{self.ready['api_url']}/_world/{action}"
        return requests.post(url, json=data, timeout=10)

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process(tmp_path_factory.mktemp("state"))
    yield process
    process.end(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly(tmp_path: Path, number: int) -> None:
    process = Process(tmp_path)
    assert process.end(number) == (0, "")
    assert not Path(f"/proc/{process.process.pid}").exists()


def test_it_serves_what_the_seed_describes(process: Process) -> None:
    assert process.ready["issues"] == ["acme/greeter#1", "acme/greeter#2", "acme/toolbox#1"]
    answer = requests.get(
        f"{process.ready['api_url']}/repos/acme/greeter/issues",
        params={"labels": "ready-for-implementation"},
        headers={"Authorization": f"token {process.ready['token']}"},
        timeout=10,
    )
    assert len(answer.json()) == 2
    listed = subprocess.run(
        ["git", "ls-remote", f"{process.ready['git_base_url']}/acme/toolbox.git"],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "refs/heads/main" in listed.stdout


def test_it_can_be_driven_from_outside(process: Process) -> None:
    opened = process.post(
        "open_issue", repository="acme/toolbox", title="T", body="B", author="maria"
    )
    ref = opened.json()["issue"]
    process.post("label", issue=ref, label="later", actor="maria")
    process.post("comment", issue=ref, body="Hello", author="jonas")
    process.post("edit_issue", issue=ref, title="New", editor="maria")
    process.post("close_issue", issue=ref)
    (toolbox,) = (
        one for one in process.get("state")["repositories"] if one["name"] == "acme/toolbox"
    )
    issue = toolbox["issues"][-1]
    assert (issue["issue"], issue["title"], issue["is_open"]) == (ref, "New", False)
    assert issue["labels"] == ["later"]
    assert issue["comments"] == [{"author": "jonas", "body": "Hello"}]
    assert process.get("pull_requests") == []


def test_a_wrong_wish_is_told(process: Process) -> None:
    for answer in (
        process.post("label", issue="acme/nothing#1", label="x"),
        process.post("label", label="x"),
        process.post("open_issue", surprise=1),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"]


@pytest.mark.parametrize(
    ("seed", "words"),
    [("{", "argument --seed"), ("[]", "does not hold a JSON object"), (None, "No such file")],
)
def test_a_wrong_seed_is_refused(tmp_path: Path, seed: str | None, words: str) -> None:
    file = tmp_path / "seed.json"
    if seed is not None:
        file.write_text(seed)
    done = _run("--state", tmp_path / "state", "--seed", file)
    assert done.returncode == 2
    assert words in done.stderr


def test_an_earlier_world_s_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "git").mkdir()
    done = _run("--state", tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path} holds an earlier world" in done.stderr


def test_a_taken_port_is_told(process: Process, tmp_path: Path) -> None:
    port = process.ready["api_url"].rpartition(":")[2]
    done = _run("--state", tmp_path, "--git-port", port)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "claude_flow.testing.world", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
