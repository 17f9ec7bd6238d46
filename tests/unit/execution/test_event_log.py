from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.execution.event_log import EventKeeping, EventPosition, RunEvents
from claude_flow.model.events import AgentEvent, Happening, Output, Result, Text
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Reason, Usage
from claude_flow.ports import AgentTask, ProcessEnded, Verdict

NOW = datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)
RUN = "widgets-7-0123456789"
SAYS: list[Happening] = [Text("one"), Output("two"), Text("three")]


def task(attempt: int = 1, part: str = "agent") -> AgentTask:
    root = Path("/nowhere")
    return AgentTask(RUN, attempt, IssueRef.parse("octo/widgets#7"), root, root, "", part)


def keeping(runs: Path, *, limit_bytes: int = 1_000_000) -> EventKeeping:
    (runs / RUN / "1").mkdir(parents=True, exist_ok=True)
    return EventKeeping(
        runs_directory=runs,
        clock=lambda: NOW,
        redact=lambda text: text.replace("hunter2", "***"),
        limit_bytes=limit_bytes,
    )


def execute(
    events: EventKeeping,
    says: Iterable[Happening],
    *,
    part: str = "agent",
    started_at: datetime = NOW,
    exit_code: int = 0,
) -> None:
    log = events.open(task(part=part), started_at)
    for said in says:
        log.note([said])
    reason = Reason.AGENT_FAILED if exit_code else None
    log.end(Verdict(reason, Usage(turns=2)), ProcessEnded(exit_code, None, started_at, NOW, ""))


def file_in(runs: Path) -> Path:
    return runs / RUN / "1/events.jsonl"


def told(runs: Path) -> list[AgentEvent]:
    return [AgentEvent.from_line(line) for line in file_in(runs).read_bytes().splitlines()]


def kinds(runs: Path) -> list[str]:
    return [event.kind for event in told(runs)]


def test_a_part_begins_with_its_start_and_ends_with_its_result(tmp_path: Path) -> None:
    execute(keeping(tmp_path), SAYS, exit_code=3)
    events = told(tmp_path)
    assert [event.kind for event in events] == ["started", "text", "output", "text", "result"]
    assert {(event.attempt, event.part) for event in events} == {(1, "agent")}
    result = events[-1].what
    assert isinstance(result, Result)
    assert (result.ok, result.reason, result.exit_code, result.turns) == (
        False,
        "agent_failed",
        3,
        2,
    )
    assert file_in(tmp_path).stat().st_mode & 0o027 == 0, "nobody else writes or looks"


def test_secrets_do_not_reach_the_disk(tmp_path: Path) -> None:
    execute(keeping(tmp_path), [Text("the password is hunter2")])
    assert b"hunter2" not in file_in(tmp_path).read_bytes()
    assert b"***" in file_in(tmp_path).read_bytes()


@given(
    kept=st.integers(0, 2_000),
    said=st.lists(st.sampled_from(["a", "b" * 50, "ü" * 90]), max_size=8).map(
        lambda texts: [Text(text) for text in texts]
    ),
    limit_bytes=st.integers(150, 2_000),
)
def test_killed_at_any_byte_and_fed_again_it_tells_each_once(
    tmp_path_factory: pytest.TempPathFactory,
    kept: int,
    said: Sequence[Happening],
    limit_bytes: int,
) -> None:
    runs = tmp_path_factory.mktemp("runs")
    events = keeping(runs, limit_bytes=limit_bytes)
    execute(events, [Output("before")], part="hook-before-run")
    before = file_in(runs).stat().st_size
    execute(events, said)
    whole = file_in(runs).read_bytes()
    with file_in(runs).open("r+b") as file:
        file.truncate(max(before, min(kept, len(whole))))
    execute(events, said)
    assert file_in(runs).read_bytes() == whole


def test_the_same_part_done_anew_is_told_anew(tmp_path: Path) -> None:
    events = keeping(tmp_path)
    killed = events.open(task(), NOW)
    killed.note(SAYS[:2])
    execute(events, SAYS, started_at=NOW + timedelta(seconds=5))
    assert kinds(tmp_path) == [
        *("started", "text", "output"),
        *("started", "text", "output", "text", "result"),
    ]


def test_what_the_service_ended_has_a_result_too(tmp_path: Path) -> None:
    log = keeping(tmp_path).open(task(), NOW)
    log.cut_short("the run was cancelled")
    log.cut_short("again")
    assert kinds(tmp_path) == ["started", "result"]
    result = told(tmp_path)[-1].what
    assert isinstance(result, Result)
    assert (result.ok, result.stopped, result.exit_code) == (False, "cut_short", None)


def test_beyond_the_limit_starts_and_results_are_kept(tmp_path: Path) -> None:
    events = keeping(tmp_path, limit_bytes=10_000)
    execute(events, [Text("x" * 400) for _ in range(1000)])
    execute(events, SAYS, part="hook-after-run")
    assert file_in(tmp_path).stat().st_size < 11_500
    assert kinds(tmp_path)[-4:] == ["truncated", "result", "started", "result"]


def test_a_file_that_cannot_be_written_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events = keeping(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("kept")
    file_in(tmp_path).symlink_to(elsewhere)
    with caplog.at_level(logging.WARNING):
        execute(events, SAYS)
    assert elsewhere.read_text() == "kept", "no link is followed"
    assert len(caplog.records) == 1
    assert "events.jsonl" in caplog.text
    file_in(tmp_path).unlink()
    os.mkfifo(file_in(tmp_path))
    execute(events, SAYS)


def test_read_on_from_each_event_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    events = keeping(tmp_path)
    execute(events, SAYS)
    (tmp_path / RUN / "3").mkdir()
    third = events.open(task(attempt=3), NOW)
    reader = RunEvents(tmp_path)
    lines, position = [], EventPosition()
    while more := reader.after(RUN, position):
        first, *_ = more
        lines.append(json.loads(first.line))
        position = first.end
    assert [line["kind"] for line in lines] == [*kinds(tmp_path), "started"]
    assert lines[-1]["attempt"] == 3
    third.note(SAYS[:1])
    assert [json.loads(one.line)["kind"] for one in reader.after(RUN, position)] == ["text"]


def test_odd_positions_and_half_lines_are_borne(tmp_path: Path) -> None:
    reader = RunEvents(tmp_path)
    assert reader.after(RUN, EventPosition()) == []
    execute(keeping(tmp_path), SAYS)
    assert len(reader.after(RUN, EventPosition(1, 7))) == 5, "from the attempt's beginning"
    assert len(reader.after(RUN, EventPosition(1, 10**9))) == 5
    assert reader.after(RUN, EventPosition(9, 0)) == []
    with file_in(tmp_path).open("ab") as file:
        file.write(b'{"kind": "te')
    assert len(reader.after(RUN, EventPosition())) == 5
