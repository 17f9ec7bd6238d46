"""Which issues are taken, from any backlog and any state of the host."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from claude_flow.model.issue import Issue, IssueRef, Repository
from claude_flow.triggers.admission import choose

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NAMES = ("widgets", "Widgets", "gadgets", "tools")
REFS = st.builds(
    IssueRef, st.builds(Repository, st.just("acme"), st.sampled_from(NAMES)), st.integers(1, 5)
)


def waiting_issue(ref: IssueRef, age: int = 0) -> Issue:
    return Issue(
        ref=ref,
        title="T",
        body="B",
        labels=frozenset({"ready-for-implementation"}),
        author="maria",
        is_open=True,
        is_pull_request=False,
        created_at=NOW - timedelta(seconds=age),
        updated_at=NOW,
        url="",
    )


def repository_of(ref: IssueRef) -> str:
    return str(ref.repository).lower()


BACKLOGS = st.lists(st.builds(waiting_issue, REFS, st.integers(0, 3)), max_size=12)
ACTIVE = st.lists(REFS, max_size=6)
FREE_IN = st.fixed_dictionaries({f"acme/{name}".lower(): st.integers(0, 3) for name in NAMES})


def taken(
    backlog: list[Issue], active: list[IssueRef], free: int, free_in: Mapping[str, int]
) -> list[Issue]:
    return choose(
        backlog,
        active=active,
        free=free,
        free_in=lambda repository: min(free, free_in[str(repository).lower()]),
    )


@given(BACKLOGS, ACTIVE, st.integers(0, 5), FREE_IN)
def test_no_limit_is_passed_and_no_issue_taken_twice(
    backlog: list[Issue], active: list[IssueRef], free: int, free_in: dict[str, int]
) -> None:
    chosen = taken(backlog, active, free, free_in)
    names = [str(issue.ref).lower() for issue in chosen]
    assert len(names) == len(set(names)) <= free
    assert not {str(ref).lower() for ref in active} & set(names)
    for repository, count in Counter(repository_of(issue.ref) for issue in chosen).items():
        assert count <= free_in[repository]


@given(BACKLOGS, ACTIVE, st.integers(0, 5), FREE_IN)
def test_nobody_waits_beside_a_free_place(
    backlog: list[Issue], active: list[IssueRef], free: int, free_in: dict[str, int]
) -> None:
    chosen = taken(backlog, active, free, free_in)
    if len(chosen) == free:
        return
    busy = {str(ref).lower() for ref in [*active, *(issue.ref for issue in chosen)]}
    full = Counter(repository_of(issue.ref) for issue in chosen)
    for issue in backlog:
        if str(issue.ref).lower() not in busy:
            repository = repository_of(issue.ref)
            assert full[repository] >= min(free, free_in[repository])


@given(BACKLOGS, st.integers(0, 5), FREE_IN)
def test_the_oldest_of_a_repository_goes_first(
    backlog: list[Issue], free: int, free_in: dict[str, int]
) -> None:
    chosen = taken(backlog, [], free, free_in)
    names = {str(issue.ref).lower() for issue in chosen}
    for issue in chosen:
        passed_over = [
            other
            for other in backlog
            if str(other.ref).lower() not in names
            and repository_of(other.ref) == repository_of(issue.ref)
        ]
        assert all(other.created_at >= issue.created_at for other in passed_over)
