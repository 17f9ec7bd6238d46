from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claude_flow.execution.logs import BoundedLog, LogTail, last_text, size

anew = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=50,
)


@anew
@given(chunks=st.lists(st.binary(max_size=50)), cuts=st.lists(st.integers(0, 3)))
def test_a_tail_gives_what_was_written_however_it_came(
    tmp_path: Path, chunks: list[bytes], cuts: list[int]
) -> None:
    path = tmp_path / "log"
    path.unlink(missing_ok=True)
    tail, lines = LogTail(path), []
    for index, chunk in enumerate(chunks):
        with path.open("ab") as stream:
            stream.write(chunk)
        for _ in range(cuts[index % len(cuts)] if cuts else 1):
            lines += tail.lines()
    while more := tail.lines():
        lines += more
    lines += tail.rest()
    whole = b"".join(chunks)
    expected = whole.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert lines == [
        line.removesuffix(b"\r").decode("utf-8", errors="replace") for line in expected
    ]


def test_a_flood_of_short_lines_comes_in_parts(tmp_path: Path) -> None:
    """Whoever reads has others to read from, too."""
    path = tmp_path / "log"
    path.write_bytes(b".\n" * 100_000)
    tail = LogTail(path)
    parts = list(iter(tail.lines, []))
    assert sum(map(len, parts)) == 100_000
    assert max(map(len, parts)) <= 16 * 1024


def test_a_line_of_megabytes_comes_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 3_500_000 + b"\nnext\nrest")
    tail = LogTail(path)
    assert [len(line) for line in tail.lines()] == [3_500_000, 4]
    assert tail.lines() == []
    assert tail.rest() == ["rest"]


def test_a_tail_begins_at_its_offset_and_bears_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert LogTail(path).lines() == []
    path.write_bytes(b"before\n")
    tail = LogTail(path, offset=size(path))
    with path.open("ab") as stream:
        stream.write(b"after\n")
    assert tail.lines() == ["after"]


@anew
@given(
    lines=st.lists(st.integers(0, 40), max_size=60),
    limit=st.integers(0, 500),
    last_words=st.integers(1, 200),
)
def test_a_bounded_log_keeps_both_ends(
    tmp_path: Path, lines: list[int], limit: int, last_words: int
) -> None:
    path = tmp_path / "log"
    path.unlink(missing_ok=True)
    written = b"".join(f"{number}:{'x' * length}\n".encode() for number, length in enumerate(lines))
    with BoundedLog(path, limit_bytes=limit, last_words_bytes=last_words) as log:
        for at in range(0, len(written), 37):
            log.write(written[at : at + 37])
    kept = path.read_bytes()
    beginning, marker, end = kept.partition(b"\n[claude-flow-run: ")
    if not marker:
        assert kept == written
        return
    note, _, end = end.partition(b"]\n")
    dropped = int(note.split()[0])
    assert len(beginning) == limit
    assert written.startswith(beginning)
    assert written.endswith(end)
    assert len(beginning) + dropped + len(end) == len(written)
    assert len(end) <= 2 * last_words


def test_a_bounded_log_appends(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"earlier\n")
    with BoundedLog(path, limit_bytes=100) as log:
        log.write(b"now\n")
    assert path.read_bytes() == b"earlier\nnow\n"


@pytest.mark.parametrize(
    ("since", "limit", "expected"),
    [(0, 100, "old\nnew \ufffd"), (4, 100, "new \ufffd"), (0, 3, "w \ufffd"), (99, 9, "")],
)
def test_last_text(tmp_path: Path, since: int, limit: int, expected: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"old\nnew \xff")
    assert last_text(path, since=since, limit_bytes=limit) == expected
    assert last_text(tmp_path / "missing", since=0, limit_bytes=9) == ""
