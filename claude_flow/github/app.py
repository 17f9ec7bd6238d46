"""Acting as a GitHub App: a token of its installation, always one that still lasts.

The App's private key signs a short-lived JWT, for which GitHub gives a token of an hour. It is
replaced before it ends, by one thread while the others go on with the old one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

import jwt

from claude_flow.errors import (
    ForbiddenError,
    GitHubError,
    GitHubUnreachableError,
    NotFoundError,
    RateLimitedError,
    TokenRefusedError,
)
from claude_flow.github import payloads
from claude_flow.github.session import ApiSession

# GitHub takes a JWT for ten minutes at most, and none from the future: clocks differ.
_SIGNED_BEFORE = timedelta(seconds=60)
_SIGNED_FOR = timedelta(minutes=9)
_RENEWED_BEFORE_END = timedelta(minutes=5)
_BARELY_LASTS = timedelta(seconds=10)

NEEDED = {"contents": "write", "issues": "write", "pull_requests": "write"}
"""What the App must be allowed, as its settings page calls it."""
_T = TypeVar("_T")
_LEVELS = ("read", "write", "admin")


@dataclass(frozen=True, slots=True)
class AppIdentity:
    """A GitHub App and one of its installations; ``private_key`` is PEM."""

    app_id: int
    installation_id: int
    private_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    expires_at: datetime
    permissions: Mapping[str, str]


class AppInstallation:
    """The tokens of one installation; safe to use from several threads.

    Every method raises TokenRefusedError if GitHub does not know the App, its key or its
    installation, and may raise GitHubUnreachableError and RateLimitedError.

    Args:
        api_url: GitHub's API.
        identity: Which App, and the key that it signs with.
        clock: The wall clock; JWTs and the ends of tokens are told by it.
        monotonic: Seconds that never jump.
        learn: Told each new token before its first use, to mask it wherever it appears.
    """

    def __init__(
        self,
        api_url: str,
        identity: AppIdentity,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        learn: Callable[[str], None],
    ) -> None:
        self.identity = identity
        self._clock = clock
        self._learn = learn
        self._as_app = ApiSession(api_url, self._signed, clock=clock, monotonic=monotonic)
        self._lock = threading.Lock()
        self._held: _Token | None = None
        self._login: str | None = None

    def token(self) -> str:
        """A token that lasts some minutes more, or what is left of it while GitHub is away."""
        return self._present().text

    def renew(self, refused: str) -> bool:
        """Forget a token that GitHub refused before its time; the next one is a new one."""
        with self._lock:
            if self._held is not None and self._held.text == refused:
                self._held = None
        return True

    def login(self) -> str:
        """The login under which the App comments and opens pull requests."""
        if self._login is None:
            self._login = self._ask("GET", "/app", payloads.app_login)
        return self._login

    def lacks(self) -> list[str]:
        """What the installation may not do but must, such as ``pull_requests: write``."""
        granted = self._present().permissions
        return [
            f"{name}: {level}"
            for name, level in NEEDED.items()
            if granted.get(name) not in _LEVELS[_LEVELS.index(level) :]
        ]

    def _present(self) -> _Token:
        held = self._held
        if held is None or not self._lasts(held, _BARELY_LASTS):
            with self._lock:
                return self._renewed()
        # While the old one is good, one thread cares for the next and nobody waits for it.
        if self._lasts(held, _RENEWED_BEFORE_END) or not self._lock.acquire(blocking=False):
            return held
        try:
            return self._renewed()
        finally:
            self._lock.release()

    def _renewed(self) -> _Token:
        """Called with the lock held; perhaps another thread was first."""
        held = self._held
        if held is not None and self._lasts(held, _RENEWED_BEFORE_END):
            return held
        try:
            self._held = self._ask_for_token()
        except (GitHubUnreachableError, RateLimitedError):
            if held is None or not self._lasts(held, _BARELY_LASTS):
                raise
            return held
        return self._held

    def _lasts(self, token: _Token, time: timedelta) -> bool:
        return self._clock() + time < token.expires_at

    def _ask_for_token(self) -> _Token:
        path = f"/app/installations/{self.identity.installation_id}/access_tokens"
        token = _Token(*self._ask("POST", path, payloads.installation_token))
        self._learn(token.text)
        return token

    def _ask(self, method: str, path: str, read: Callable[[Any], _T]) -> _T:
        try:
            return read(self._as_app.request(method, path).data)
        except (GitHubUnreachableError, RateLimitedError):
            raise
        except GitHubError as error:
            # Not as it came: a 404 from here says nothing about an issue or a person.
            raise TokenRefusedError(
                f"GitHub refuses the App {self.identity.app_id} with its installation "
                f"{self.identity.installation_id}: {error.message}",
                hint=_hint(error),
            ) from error

    def _signed(self) -> str:
        now = self._clock()
        claims = {
            "iat": int((now - _SIGNED_BEFORE).timestamp()),
            "exp": int((now + _SIGNED_FOR).timestamp()),
            "iss": str(self.identity.app_id),
        }
        try:
            return jwt.encode(claims, self.identity.private_key, algorithm="RS256")
        except (jwt.InvalidKeyError, ValueError, TypeError):
            raise TokenRefusedError(
                f"the App {self.identity.app_id} cannot sign: its key is no RSA private key",
                hint="let github.app.private_key_file name the .pem file that GitHub made",
            ) from None  # the chain could quote the key


def _hint(error: GitHubError) -> str | None:
    if isinstance(error, TokenRefusedError):
        return (
            "is github.app.private_key_file a key of the App github.app.id, and is this host's "
            "clock right?"
        )
    if isinstance(error, NotFoundError):
        if "integration not found" in error.message.lower():
            return "there is no such App: check github.app.id"
        return (
            "there is no such installation: check github.app.installation_id, and that the App "
            "is still installed there"
        )
    if isinstance(error, ForbiddenError):
        return "is the installation suspended? its owner can lift that on GitHub"
    return error.hint
