"""Which releases stay on a host."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.role.loading import load

releases = load("library/claude_flow_host.py").releases
NAMES = st.sampled_from(["0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0"])


def test_those_that_were_installed_first_go() -> None:
    there = {"0.9.0": 1, "0.10.0": 2, "0.11.0": 3, "0.12.0": 4}
    found = releases.unwanted(there, keep=3, current="0.12.0", before="0.11.0", used=())
    assert found == ["0.9.0"]
    assert releases.unwanted(there, keep=9, current="0.12.0", before="0.11.0", used=()) == []


def test_after_a_rollback_the_release_before_is_a_newer_one() -> None:
    there = {"1": 1, "2": 2, "3": 3}
    assert releases.unwanted(there, keep=2, current="1", before="2", used=()) == ["3"]


def test_an_installation_that_was_never_whole_goes_first() -> None:
    there = {"1": 1, "2": 0, "3": 3}
    assert releases.unwanted(there, keep=2, current="3", before="", used=()) == ["2"]


def test_the_one_that_is_being_installed_counts() -> None:
    there = {"1": 0, "2": 0, "3": 3}
    assert releases.unwanted(there, keep=2, current="4", before="3", used=["2"]) == ["1"]


@given(
    there=st.dictionaries(NAMES, st.integers(0, 9)),
    keep=st.integers(0, 6),
    current=NAMES,
    before=NAMES | st.just(""),
    used=st.sets(NAMES),
)
def test_what_is_needed_never_goes_and_no_more_stay_than_asked_for(
    there: dict[str, int], keep: int, current: str, before: str, used: set[str]
) -> None:
    gone = set(releases.unwanted(there, keep=keep, current=current, before=before, used=used))
    needed = {current, before, *used}
    assert not gone & needed
    assert len({*there, current} - gone - needed) <= max(keep - 1, 0)


def test_releases_are_known_by_their_directories(tmp_path: Path) -> None:
    place = tmp_path / "releases"
    assert releases.installed(place) == {}
    for name in ("0.1.0", "0.2.0"):
        (place / name).mkdir(parents=True)
    mark = place / "0.1.0" / ".installed"
    mark.touch()
    os.utime(mark, ns=(7, 7))
    (tmp_path / "current").symlink_to("releases/0.1.0")
    assert releases.installed(place) == {"0.1.0": 7, "0.2.0": 0}
    assert releases.linked(tmp_path / "current") == "0.1.0"
    assert releases.linked(tmp_path / "previous") == ""


def test_a_release_that_a_process_was_started_from_is_in_use(tmp_path: Path) -> None:
    place = tmp_path / "releases"
    for number, words in enumerate(
        [
            [f"{place}/0.1.0/bin/python3", f"{tmp_path}/current/bin/claude-flow-run", "spec"],
            ["/usr/bin/git", "gc"],
            [f"{place}-old/0.2.0/bin/python3"],
            [],
        ]
    ):
        directory = tmp_path / "proc" / str(number)
        directory.mkdir(parents=True)
        (directory / "cmdline").write_bytes("\0".join(words).encode())
    assert releases.in_use(place, tmp_path / "proc") == {"0.1.0"}
