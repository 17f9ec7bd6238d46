"""What goes from the disk: never anything of an active run, the oldest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from claude_flow.model.run import RunState
from claude_flow.ports import StoredMirror
from claude_flow.workflow.retention import Occupant, Removals, RetentionPolicy, choose_removals

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLENTY = 2**60
POLICY = RetentionPolicy(
    keep_failed=3 * HOUR, keep_runs=30 * HOUR, max_total_bytes=100, min_free_bytes=50
)


def failed(run_id: str, hours: float, size: int | None = 10, mirror: str = "/m") -> Occupant:
    return Occupant(
        run_id=run_id,
        state=RunState.FAILED,
        since=NOW - hours * HOUR,
        workspace_bytes=size,
        mirror=mirror,
    )


def of_state(state: RunState | None, hours: float = 0.0) -> Occupant:
    return Occupant(run_id="r", state=state, since=NOW - hours * HOUR, workspace_bytes=10)


def choose(
    *occupants: Occupant,
    mirrors: tuple[StoredMirror, ...] = (),
    watched: tuple[str, ...] = (),
    free_bytes: int = PLENTY,
) -> Removals:
    return choose_removals(
        occupants, mirrors, watched=watched, policy=POLICY, now=NOW, free_bytes=free_bytes
    )


def test_a_failed_runs_workspace_goes_when_its_time_is_over() -> None:
    assert choose(failed("new", 2.9), failed("old", 3)).workspaces == ("old",)


def test_other_workspaces_go_at_once_and_those_in_use_never() -> None:
    for state in (RunState.SUCCEEDED, RunState.CANCELLED):
        assert choose(of_state(state)).workspaces == ("r",)
    for state in (RunState.QUEUED, RunState.RUNNING):
        assert choose(of_state(state, hours=1000), free_bytes=0) == Removals()


def test_a_run_that_the_record_does_not_know_is_kept_like_a_failed_one() -> None:
    assert choose(of_state(None, hours=2)) == Removals()
    assert choose(of_state(None, hours=4)).workspaces == ("r",)
    assert choose(of_state(None, hours=40)).runs == ("r",)


def test_beyond_the_total_the_oldest_go_first() -> None:
    kept = [failed("b", 2, 40), failed("a", 2.5, 40), failed("c", 1, 40)]
    assert choose(*kept).workspaces == ("a",)
    busy = Occupant(run_id="busy", state=RunState.RUNNING, since=NOW, workspace_bytes=90)
    assert choose(*kept, busy).workspaces == ("b", "a", "c")


def test_too_little_free_space_takes_the_oldest_before_their_time() -> None:
    kept = [failed("a", 2, 30), failed("b", 1, 30)]
    assert choose(*kept, free_bytes=50) == Removals()
    assert choose(*kept, free_bytes=49).workspaces == ("a",)
    assert choose(*kept, free_bytes=10).workspaces == ("a", "b")
    # What goes anyway makes room as well.
    assert choose(*kept, failed("over", 4, 40), free_bytes=10).workspaces == ("over",)


def test_a_runs_directory_goes_with_all_it_has() -> None:
    removals = choose(failed("old", 30, None), failed("older", 31), failed("new", 29, None))
    assert removals == Removals(runs=("old", "older"))


def test_a_mirror_goes_when_nobody_needs_it() -> None:
    old, new = StoredMirror("/m", NOW - 30 * HOUR), StoredMirror("/new", NOW - 29 * HOUR)
    assert choose(mirrors=(old, new)).mirrors == (old,)
    assert choose(mirrors=(old,), watched=("/m",)) == Removals()
    assert choose(failed("kept", 1), mirrors=(old,)) == Removals()
    assert choose(failed("kept", 1, None), mirrors=(old,)).mirrors == (old,)
    assert choose(failed("kept", 1, mirror="/other"), mirrors=(old,)).mirrors == (old,)
    assert choose(of_state(RunState.RUNNING), mirrors=(old,)) == Removals()


OCCUPANTS = st.lists(
    st.builds(
        Occupant,
        run_id=st.text("abc", min_size=1, max_size=4),
        state=st.none() | st.sampled_from(RunState),
        since=st.floats(0, 40).map(lambda hours: NOW - hours * HOUR),
        workspace_bytes=st.none() | st.integers(0, 80),
        mirror=st.none() | st.sampled_from(["/m", "/n"]),
    ),
    unique_by=lambda one: one.run_id,
    max_size=8,
)


@given(OCCUPANTS, st.integers(0, 100))
def test_it_keeps_the_bounds_and_no_more(occupants: list[Occupant], free_bytes: int) -> None:
    mirrors = tuple(StoredMirror(path, NOW - 31 * HOUR) for path in ("/m", "/n"))
    removals = choose(*occupants, mirrors=mirrors, free_bytes=free_bytes)
    gone = {*removals.workspaces, *removals.runs}
    left = [one for one in occupants if one.run_id not in gone]

    assert not any(one.is_active for one in occupants if one.run_id in gone)
    assert not {*removals.workspaces} & {*removals.runs}
    evictable = [one for one in left if not one.is_active and one.workspace_bytes]
    freed = sum(one.workspace_bytes or 0 for one in occupants if one.run_id in gone)
    if evictable:
        assert sum(one.workspace_bytes or 0 for one in left) <= (POLICY.max_total_bytes or 0)
        assert free_bytes + freed >= POLICY.min_free_bytes
    borrowed = {one.mirror for one in left if one.workspace_bytes is not None}
    assert not borrowed & {mirror.path for mirror in removals.mirrors}
    assert choose(*left, free_bytes=free_bytes + freed) == Removals()
