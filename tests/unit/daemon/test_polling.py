"""When whom is asked, whatever answers."""

from hypothesis import given
from hypothesis import strategies as st

from claude_flow.daemon.health import GitHubStatus
from claude_flow.daemon.polling import PollSchedule
from claude_flow.errors import (
    ForbiddenError,
    GitHubError,
    GitHubUnreachableError,
    NotFoundError,
    RateLimitedError,
    TokenRefusedError,
)
from claude_flow.model.issue import Repository

INTERVAL = 30.0
A, B, C = (Repository("acme", name) for name in "abc")
LONGEST_PAUSE = 900.0


def schedule(*repositories: Repository, interval: float = INTERVAL) -> PollSchedule:
    made = PollSchedule(lambda: interval)
    made.follow(repositories, 0.0)
    return made


def play(made: PollSchedule, answers: list[GitHubError | None], until: float) -> list[float]:
    """Poll whenever it is due, as the loop does; when each poll came. Then all goes well."""
    polls, now = [], 0.0
    coming = iter(answers)
    while now < until:
        repository = made.due(now)
        if repository is None:
            now += made.seconds_to_next(now) or 1.0
            continue
        polls.append(now)
        error = next(coming, None)
        if error is None:
            made.succeeded(repository, now)
        else:
            made.failed(repository, error, now)
        now += 0.1
    return polls


ERRORS = st.sampled_from(
    [
        TokenRefusedError("401"),
        GitHubUnreachableError("no answer"),
        NotFoundError("404"),
        ForbiddenError("403"),
        RateLimitedError("429", retry_after_seconds=60),
    ]
)


@given(st.lists(st.none() | ERRORS, max_size=12))
def test_after_any_trouble_every_repository_is_polled_again(
    answers: list[GitHubError | None],
) -> None:
    made = schedule(A, B, C)
    play(made, answers, until=20 * LONGEST_PAUSE)
    assert made.status is GitHubStatus.OK
    assert made.fault is None
    assert made.faults == {}


@given(st.lists(st.none() | ERRORS, max_size=20), st.integers(1, 5))
def test_no_repository_is_asked_more_often_than_wanted(
    answers: list[GitHubError | None], count: int
) -> None:
    made = schedule(*[Repository("acme", f"r{number}") for number in range(count)])
    hour = 3600.0
    polls = play(made, answers, until=hour)
    # Each trouble of all at once is asked again sooner, but only while it lasts.
    assert len(polls) <= count * (hour / INTERVAL + 1) + len(answers)


def test_everybody_has_a_turn() -> None:
    made = schedule(A, B, C)
    asked = []
    for now in (0.0, 0.1, 0.2):
        repository = made.due(now)
        assert repository is not None
        asked.append(repository)
        made.succeeded(repository, now)
    assert set(asked) == {A, B, C}
    assert made.due(1.0) is None
    assert made.seconds_to_next(1.0) == INTERVAL - 1.0


def test_a_refused_token_pauses_all_for_longer_and_longer_and_is_said_once() -> None:
    made = schedule(A, B)
    pauses, news, now = [], [], 0.0
    for _ in range(10):
        repository = made.due(now)
        assert repository is not None
        news.append(made.failed(repository, TokenRefusedError("401: bad"), now))
        assert made.due(now) is None
        assert made.status is GitHubStatus.REFUSED
        pause = made.seconds_to_next(now)
        assert pause is not None
        pauses.append(pause)
        now += pause
    assert pauses == sorted(pauses)
    assert pauses[0] == 5.0
    assert pauses[-1] == LONGEST_PAUSE
    assert [text is not None for text in news] == [True] + [False] * 9
    assert made.succeeded(A, now) is not None
    assert made.succeeded(A, now) is None


def test_a_rate_limit_pauses_as_long_as_github_asks_even_when_hurried() -> None:
    made = schedule(A)
    made.failed(A, RateLimitedError("429", retry_after_seconds=120), 0.0)
    made.hurry(1.0)
    assert made.due(119.0) is None
    assert made.due(120.0) == A


def test_a_repositorys_trouble_is_its_own() -> None:
    made = schedule(A, B)
    assert made.failed(A, NotFoundError("a: 404"), 0.0) == "a: 404"
    assert made.due(0.0) == B
    made.succeeded(B, 0.0)
    assert (made.status, made.fault) == (GitHubStatus.OK, None)
    assert made.faults == {A: "a: 404"}
    assert made.failed(A, NotFoundError("a: 404"), 30.0) is None
    assert made.succeeded(A, 90.0) == "acme/a can be polled again"
    assert made.faults == {}


def test_following_keeps_turns_and_begins_with_the_new() -> None:
    made = schedule(A)
    made.succeeded(A, 0.0)
    made.follow([A, B], 1.0)
    assert made.due(1.0) == B
    made.follow([A], 2.0)
    assert made.due(2.0) is None
    assert made.repositories == (A,)
    assert made.failed(B, NotFoundError("gone"), 2.0) is None


def test_nothing_to_follow_is_never_due() -> None:
    made = schedule()
    assert made.due(0.0) is None
    assert made.seconds_to_next(0.0) is None
