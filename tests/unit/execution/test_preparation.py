"""What is laid down for an agent, beside what an earlier process of it left."""

import stat
from pathlib import Path

import pytest

from claude_flow.execution.preparation import write_agent_files
from claude_flow.ports import AgentCommand, Excerpt

FOR_GROUP = pytest.mark.parametrize("for_group", [True, False])


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    scratch = tmp_path / "2" / "scratch"
    scratch.mkdir(parents=True)
    return scratch


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """What an earlier attempt left."""
    earlier = tmp_path / "1" / "scratch" / "claude"
    (earlier / "projects").mkdir(parents=True)
    (earlier / "projects" / "talk").write_bytes(b"whole line\nhalf a li")
    return earlier


def copying(scratch: Path, source: Excerpt) -> AgentCommand:
    return AgentCommand((), {}, "", {}, copies={scratch / "claude" / source.path: source})


@FOR_GROUP
def test_the_beginning_of_a_file_is_copied(
    scratch: Path, earlier: Path, *, for_group: bool
) -> None:
    command = copying(scratch, Excerpt(earlier, Path("projects/talk"), 11))
    write_agent_files(command, scratch, for_group=for_group)
    made = scratch / "claude/projects/talk"
    assert made.read_bytes() == b"whole line\n"
    assert stat.S_IMODE(made.stat().st_mode) == (0o660 if for_group else 0o600)
    assert [path.name for path in scratch.iterdir()] == ["claude"]


def test_a_file_may_be_copied_onto_itself(earlier: Path) -> None:
    command = copying(earlier.parent, Excerpt(earlier, Path("projects/talk"), 11))
    write_agent_files(command, earlier.parent, for_group=False)
    assert (earlier / "projects/talk").read_bytes() == b"whole line\n"


def test_what_became_shorter_or_a_link_is_not_copied(scratch: Path, earlier: Path) -> None:
    command = copying(scratch, Excerpt(earlier, Path("projects/talk"), 1000))
    with pytest.raises(OSError, match="shorter"):
        write_agent_files(command, scratch, for_group=False)
    (earlier / "projects").rename(earlier / "moved")
    (earlier / "projects").symlink_to("moved")
    command = copying(scratch, Excerpt(earlier, Path("projects/talk"), 11))
    with pytest.raises(OSError, match="Not a directory"):
        write_agent_files(command, scratch, for_group=False)
    assert not (scratch / "claude").exists()


@FOR_GROUP
def test_no_link_of_an_earlier_process_is_followed(
    scratch: Path, tmp_path: Path, *, for_group: bool
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "settings.json").write_text("the host's")
    (scratch / "claude").symlink_to(precious)
    (scratch / "task.md").symlink_to(precious / "settings.json")
    files = {scratch / "claude/settings.json": "the agent's", scratch / "task.md": "the task"}
    write_agent_files(AgentCommand((), {}, "", files), scratch, for_group=for_group)
    assert (precious / "settings.json").read_text() == "the host's"
    assert [path.read_text() for path in files] == ["the agent's", "the task"]
