"""When to ask GitHub for which repository: a pure schedule over monotonic seconds.

Trouble with GitHub as a whole (no network, a refused token, a rate limit) pauses every
repository; trouble with one repository pauses that one. Pauses grow until it works again, and
only a change is news.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from claude_flow.daemon.health import GitHubStatus
from claude_flow.errors import (
    GitHubError,
    GitHubUnreachableError,
    RateLimitedError,
    TokenRefusedError,
)
from claude_flow.model.issue import Repository

_LONGEST_PAUSE_SECONDS = 900.0
_FIRST_PAUSE_SECONDS = 5.0


@dataclass(slots=True)
class _Turn:
    due: float
    failures: int = 0
    fault: str | None = None


@dataclass(slots=True)
class PollSchedule:
    """Which repository's turn it is; ``interval`` gives the present poll interval in seconds."""

    interval: Callable[[], float]
    status: GitHubStatus = GitHubStatus.UNKNOWN
    fault: str | None = None
    _turns: dict[Repository, _Turn] = field(default_factory=dict)
    _paused_until: float = float("-inf")
    _failures: int = 0

    def follow(self, repositories: Iterable[Repository], now: float) -> None:
        """Poll exactly these; new ones at once."""
        self._turns = {
            repository: self._turns.get(repository, _Turn(due=now)) for repository in repositories
        }

    @property
    def repositories(self) -> tuple[Repository, ...]:
        """The repositories that are polled."""
        return tuple(self._turns)

    @property
    def faults(self) -> dict[Repository, str]:
        """What is wrong with single repositories."""
        return {repository: turn.fault for repository, turn in self._turns.items() if turn.fault}

    def due(self, now: float) -> Repository | None:
        """The repository that has waited longest beyond its turn, None if none is due."""
        if now < self._paused_until or not self._turns:
            return None
        repository = min(self._turns, key=lambda repository: self._turns[repository].due)
        return repository if self._turns[repository].due <= now else None

    def seconds_to_next(self, now: float) -> float | None:
        """Seconds until something is due, None if nothing is polled."""
        if not self._turns:
            return None
        due = min(turn.due for turn in self._turns.values())
        return max(0.0, due - now, self._paused_until - now)

    def hurry(self, now: float, repository: Repository | None = None) -> None:
        """Make one repository, or all, due at once; a pause that GitHub asked for stays."""
        for known, turn in self._turns.items():
            if repository is None or known == repository:
                turn.due = min(turn.due, now)

    def succeeded(self, repository: Repository, now: float) -> str | None:
        """GitHub answered; the news, if that ends a trouble."""
        turn = self._turns.get(repository)
        was = self.fault or (turn.fault if turn else None)
        self.status, self.fault, self._failures = GitHubStatus.OK, None, 0
        if turn is not None:
            turn.due, turn.failures, turn.fault = now + self.interval(), 0, None
        return f"{repository} can be polled again" if was else None

    def failed(self, repository: Repository | None, error: GitHubError, now: float) -> str | None:
        """GitHub did not answer as it should; the news, unless it was said already.

        ``repository`` is None where the request was about no particular one.
        """
        if isinstance(error, TokenRefusedError | GitHubUnreachableError | RateLimitedError):
            return self._everything_failed(error, now)
        return str(error) if repository is None else self._one_failed(repository, error, now)

    def _everything_failed(self, error: GitHubError, now: float) -> str | None:
        before, said = self.status, self.fault is not None
        self._failures += 1
        refused = isinstance(error, TokenRefusedError)
        self.status = GitHubStatus.REFUSED if refused else GitHubStatus.UNREACHABLE
        self.fault = str(error)
        pause = (
            error.retry_after_seconds
            if isinstance(error, RateLimitedError)
            else _growing(self._failures, self.interval())
        )
        self._paused_until = now + pause
        return None if said and before is self.status else f"{error}; next try in {pause:.0f} s"

    def _one_failed(self, repository: Repository, error: GitHubError, now: float) -> str | None:
        self.status, self.fault, self._failures = GitHubStatus.OK, None, 0
        turn = self._turns.get(repository)
        if turn is None:
            return None
        said = turn.fault is not None
        turn.failures += 1
        turn.fault = str(error)
        turn.due = now + max(self.interval(), _growing(turn.failures, self.interval()))
        return None if said else str(error)


def _growing(failures: int, interval: float) -> float:
    first = min(interval, _FIRST_PAUSE_SECONDS)
    return float(min(first * 2 ** min(failures - 1, 20), _LONGEST_PAUSE_SECONDS))
