import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from claude_flow.testing import seed as seeds
from claude_flow.testing.clock import FakeClock
from claude_flow.testing.git_side import MemoryGit
from claude_flow.testing.github_state import GitHubState

DEMO = json.loads((Path(seeds.__file__).parent / "demo_world.json").read_text())


def _work(directory: Path, prompt: str) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-m", "claude_flow.testing.agent"],
        cwd=directory,
        input=prompt,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_it_tells_of_its_work_as_claude_code_does(tmp_path: Path) -> None:
    code, events = _work(tmp_path, "Write `a.py`:\n\n```\nx = 1\n```\n")
    assert code == 0
    assert (tmp_path / "a.py").read_text() == "x = 1\n"
    assert [event["type"] for event in events] == ["system", "assistant", "assistant", "result"]
    result = events[-1]
    assert (result["subtype"], result["is_error"], result["num_turns"]) == ("success", False, 2)
    assert result["result"] == "Changed `a.py` as the issue asks."


def test_an_edit_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    code, events = _work(tmp_path, "In `a.py` replace `x` with `y`.")
    assert (code, events[-1]["is_error"]) == (1, True)
    assert "a.py does not hold 'x'" in events[-1]["result"]


def test_without_an_edit_nothing_changes(tmp_path: Path) -> None:
    code, events = _work(tmp_path, "Make it nicer.")
    assert (code, events[-1]["is_error"]) == (0, False)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def demo() -> GitHubState:
    state = GitHubState(MemoryGit(), FakeClock())
    seeds.plant(state, DEMO)
    return state


@pytest.mark.parametrize("index", range(3))
def test_the_demo_s_issues_can_be_worked_on(demo: GitHubState, tmp_path: Path, index: int) -> None:
    issue = DEMO["issues"][index]
    for name, text in demo.files(issue["repository"]).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    code, events = _work(tmp_path, "\n".join(issue["body"]))
    assert code == 0, events[-1]["result"]
    # What each issue asks for, tried on the changed files.
    tries: list[tuple[list[str], int]] = [
        (["-m", "unittest", "tests/test_greeting.py"], 0),
        (["-m", "greeter"], 2),
        (["-m", "unittest", "tests/test_text.py"], 0),
    ]
    arguments, expected = tries[index]
    tried = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, capture_output=True, check=False, timeout=60
    )
    assert tried.returncode == expected, tried.stderr.decode()


def test_the_demo_s_issues_are_eligible(demo: GitHubState) -> None:
    for number, issue in zip((1, 2, 1), DEMO["issues"], strict=True):
        ref = f"{issue['repository']}#{number}"
        assert demo.labels(ref) == {"ready-for-implementation"}
        assert demo.repository(issue["repository"]).role_of(issue["labelled_by"]) == "write"
