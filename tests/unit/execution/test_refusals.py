"""The hosts that a proxy refused, from the process that writes them down to the log."""

import logging
from pathlib import Path

import pytest

from claude_flow.execution.refusals import RefusalLog, Refusals
from claude_flow.model.events import HostRefused


def read(path: Path, offset: int = 0) -> list[HostRefused]:
    refusals = Refusals(
        path, offset=offset, what="agent", redact=lambda text: text.replace("word", "***")
    )
    return list(refusals.read())


def test_each_host_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = RefusalLog(tmp_path / "refused.jsonl")
    for host, port in (("a.org", 443), ("a.org", 80), ("b.word.org", 80)):
        log.add(host, port, "not listed")
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path / "refused.jsonl")
    assert found == [
        HostRefused("a.org", 443, "not listed"),
        HostRefused("b.word.org", 80, "not listed"),
    ]
    assert caplog.messages == [
        "agent was refused a.org:443: not listed",
        "agent was refused b.***.org:80: not listed",
    ]


def test_there_are_not_more_than_a_hundred(tmp_path: Path) -> None:
    log = RefusalLog(tmp_path / "refused.jsonl")
    for number in range(200):
        log.add(f"{number}.test", 443, "not listed")
    assert len(read(tmp_path / "refused.jsonl")) == 100


def test_odd_names_are_shown_in_plain_characters(tmp_path: Path) -> None:
    log = RefusalLog(tmp_path / "refused.jsonl")
    log.add("\x1b[2Ja\n\ufffd" + "x" * 500, 443, "not listed")
    (found,) = read(tmp_path / "refused.jsonl")
    assert found.host.startswith(r"\x1b[2Ja\n\ufffdxxx")
    assert len(found.host) < 300


def test_what_an_earlier_execution_wrote_is_not_told_again(tmp_path: Path) -> None:
    path = tmp_path / "refused.jsonl"
    RefusalLog(path).add("a.org", 443, "not listed")
    before = path.stat().st_size
    RefusalLog(path).add("b.org", 443, "not listed")
    assert [refused.host for refused in read(path, before)] == ["b.org"]


def test_what_is_no_refusal_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "refused.jsonl"
    assert read(path) == []
    path.write_text('nonsense\n[]\n{"host": "a.org"}\n{"host": "b.org", "port": 1, "why": "x"}\n')
    assert [refused.host for refused in read(path)] == ["b.org"]
