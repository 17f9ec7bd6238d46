"""GitHub: whether it lets us in, what we may do there, how much, and what time it has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from claude_flow.bootstrap import login_of, make_github, utc_now
from claude_flow.cli.doctor.finding import Finding, Grade, told
from claude_flow.config import ConfigManager
from claude_flow.github import AppInstallation, GitHubClient
from claude_flow.model.issue import Repository
from claude_flow.ports import RateLimit, RepositoryInfo

_LOW_SHARE = 0.1
_ODD_CLOCK_SECONDS = 30.0
_WRONG_CLOCK_SECONDS = 300.0
_REPOSITORY_SCOPES = ("repo", "public_repo")


def check(config: ConfigManager) -> Iterator[Finding]:
    """Ask GitHub as the daemon does. Raises GitHubError where it does not answer."""
    is_app = config.get("github.app.id") is not None
    if config.secret("github.app.private_key_file" if is_app else "github.token") is None:
        what = "no key of the GitHub App" if is_app else "no token"
        yield Finding(
            "github",
            Grade.WARN,
            f"{what} is visible here, so GitHub was not asked",
            "try it with sudo; else the finding 'health' tells whether the daemon's works",
        )
        return
    login = login_of(config)
    github = make_github(config, login)
    installation = login.installation()
    if installation is not None:
        yield from told("github", lambda: [judge_app(installation)])
    yield from told("github", lambda: _access(github))
    for name in config.get("github.repositories"):
        look = partial(_repository, github, Repository.parse(name), is_app=is_app)
        yield from told("github", look)


def _access(github: GitHubClient) -> Iterator[Finding]:
    access = github.access()
    if access.server_time is not None:
        yield judge_clock(utc_now(), access.server_time)
    if access.scopes is not None:
        yield judge_scopes(access.scopes)
    yield judge_rate(access.rate_limit)


def _repository(github: GitHubClient, repository: Repository, *, is_app: bool) -> Iterator[Finding]:
    found = github.repository(repository)
    # What GitHub says there is a person's right; an App's is in what it was granted.
    yield judge_repository(repository, found, may_push=None if is_app else found.may_push)


def judge_app(installation: AppInstallation) -> Finding:
    """What a GitHub App's installation was granted."""
    who = f"acting as {installation.login()}"
    lacks = installation.lacks()
    if lacks:
        return Finding(
            "github",
            Grade.FAIL,
            f"{who}, which may not do all it must: it lacks {', '.join(lacks)}",
            "grant it on the App's settings page, then accept it for the installation",
        )
    return Finding("github", Grade.FINE, who)


def judge_scopes(scopes: tuple[str, ...]) -> Finding:
    """What a classic token may do at all; other kinds of tokens have no scopes."""
    listed = ", ".join(scopes) or "none"
    if not any(scope in scopes for scope in _REPOSITORY_SCOPES):
        return Finding(
            "token",
            Grade.FAIL,
            f"the token's scopes are {listed}: it can neither push nor comment",
            "give it the scope repo, or make a fine-grained token with write access to contents, "
            "issues and pull requests",
        )
    if "repo" not in scopes:
        text = f"the token's scopes are {listed}: it reaches public repositories alone"
        return Finding("token", Grade.WARN, text, "give it the scope repo for private ones")
    return Finding("token", Grade.FINE, f"the token's scopes are {listed}")


def judge_rate(limit: RateLimit | None) -> Finding:
    """The hour's budget of requests."""
    if limit is None:
        return Finding("rate", Grade.FINE, "GitHub tells no limit on requests")
    text = (
        f"{limit.remaining} of {limit.limit} requests are left until {limit.resets_at:%H:%M:%S} UTC"
    )
    if limit.remaining < limit.limit * _LOW_SHARE:
        return Finding(
            "rate",
            Grade.WARN,
            text,
            "raise github.poll_interval_seconds, or act as a GitHub App, which has its own budget",
        )
    return Finding("rate", Grade.FINE, text)


def judge_clock(here: datetime, there: datetime) -> Finding:
    """A wrong clock spoils an App's tokens, TLS, and every time that is told."""
    seconds = (here - there).total_seconds()
    if abs(seconds) < _ODD_CLOCK_SECONDS:
        return Finding("clock", Grade.FINE, "it agrees with GitHub's")
    direction = "ahead of" if seconds > 0 else "behind"
    return Finding(
        "clock",
        Grade.FAIL if abs(seconds) >= _WRONG_CLOCK_SECONDS else Grade.WARN,
        f"this host's clock is {abs(seconds):.0f} s {direction} GitHub's",
        "keep it right: timedatectl set-ntp true",
    )


def judge_repository(
    repository: Repository, found: RepositoryInfo, *, may_push: bool | None
) -> Finding:
    """Whether work on it can be published; ``may_push`` None is not known."""
    if found.is_archived:
        text = f"{repository} is archived: nothing can be pushed there"
        return Finding("github", Grade.FAIL, text, "take it off github.repositories")
    if may_push is False:
        text = f"{repository} can be read, but nothing can be pushed there"
        hint = "give whoever the token belongs to write access, and the token contents: write"
        return Finding("github", Grade.FAIL, text, hint)
    if str(found.repository).lower() != str(repository).lower():
        text = f"{repository} is called {found.repository} now"
        return Finding("github", Grade.WARN, text, "put the new name into github.repositories")
    right = "read and pushed to" if may_push else "read"
    return Finding("github", Grade.FINE, f"{repository} can be {right}")
