"""Which of an agent's sessions can be gone on with."""

import json
import logging
from pathlib import Path

import pytest

from claude_flow.agents.transcripts import find_transcript
from claude_flow.ports import AgentSession, Excerpt

ID = "64b228e4-e1c5-46da-9526-d55ce41d5d9d"
ASKED = json.dumps({"type": "user", "sessionId": ID, "message": {"content": "ä"}}) + "\n"
META = json.dumps({"type": "queue-operation", "sessionId": ID}) + "\n"
PATH = Path("projects", "-var-lib-w", f"{ID}.jsonl")


def session(root: Path, session_id: str = ID) -> AgentSession:
    return AgentSession(session_id, root / "scratch", "go on")


def keep(root: Path, text: bytes | str) -> Path:
    path = root / "scratch" / "claude" / PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_whole_transcript_goes_on(tmp_path: Path) -> None:
    keep(tmp_path, META + ASKED)
    (tmp_path / "scratch/claude/projects/-another").mkdir()
    (tmp_path / "scratch/claude/projects/.a-file").touch()
    found = find_transcript(session(tmp_path))
    assert found == Excerpt(tmp_path / "scratch/claude", PATH, len((META + ASKED).encode()))


@pytest.mark.parametrize("half", ['{"type": "assis', "}", "{}"])
def test_half_a_line_at_the_end_is_left_out(tmp_path: Path, half: str) -> None:
    keep(tmp_path, ASKED + half)
    found = find_transcript(session(tmp_path))
    assert found is not None
    assert found.length == len(ASKED.encode())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no conversation"),
        (META, "no conversation"),
        (ASKED.replace(ID, ID.replace("6", "7")), "no conversation"),
        (ASKED.rstrip("\n"), "no conversation"),
        (ASKED + "nonsense\n" + ASKED, "byte "),
        (ASKED + "[]\n", "byte "),
        (ASKED + "[" * 100_000 + "\n", "byte "),
        (ASKED.encode() + b"\xff\n", "byte "),
        (ASKED.encode() + b"\0" * 100 + b"\n", "byte "),
        (ASKED + '{"a": "' + "x" * 9_000_000 + '"}\n', "a line of over"),
    ],
)
def test_another_one_does_not(
    tmp_path: Path, text: bytes | str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    keep(tmp_path, text)
    assert find_transcript(session(tmp_path)) is None
    assert why in caplog.text
    assert "a new one begins" in caplog.text


def test_a_transcript_has_bounds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    line = json.dumps({"type": "attachment", "rendered": "x" * 5_000_000}) + "\n"
    keep(tmp_path, ASKED + line * 11)
    assert find_transcript(session(tmp_path)) is None
    assert "longer than 52428800 bytes" in caplog.text


@pytest.mark.parametrize(
    "session_id", ["", "5e55", "../" * 12, f"{ID}/..", f"--{ID}", f"{ID}\n", ID.upper(), "-" * 36]
)
def test_only_a_uuid_is_looked_for(
    tmp_path: Path, session_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    keep(tmp_path, ASKED)
    assert find_transcript(session(tmp_path, session_id)) is None
    assert "no UUID" in caplog.text


def test_what_is_not_there_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert find_transcript(session(tmp_path)) is None
    keep(tmp_path, ASKED).unlink()
    assert find_transcript(session(tmp_path)) is None
    assert "No such file" in caplog.text
    assert "there is no transcript of it" in caplog.text


def test_no_link_leads_out_of_the_attempt(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = keep(tmp_path, ASKED)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert find_transcript(session(tmp_path)) is None
    path.parent.rename(tmp_path / "projects")
    path.parent.symlink_to(tmp_path / "projects")
    assert find_transcript(session(tmp_path)) is None
    assert caplog.text.count("a new one begins") == 2
