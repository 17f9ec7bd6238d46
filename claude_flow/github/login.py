"""What this service shows GitHub: somebody's token, or a token of an App's installation."""

from __future__ import annotations

import threading
from collections.abc import Callable

from claude_flow.github.app import AppIdentity, AppInstallation


class Login:
    """The login of the moment; safe to use from several threads.

    ``configured`` gives a token or an App's identity as the configuration in force names it, and
    raises TokenRefusedError if it names none. ``act_as`` makes the installation of an identity.
    """

    def __init__(
        self,
        configured: Callable[[], str | AppIdentity],
        act_as: Callable[[AppIdentity], AppInstallation],
    ) -> None:
        self._configured = configured
        self._act_as = act_as
        self._lock = threading.Lock()
        self._installation: AppInstallation | None = None

    def token(self) -> str:
        """The token for the next request."""
        found = self._found()
        return found if isinstance(found, str) else found.token()

    def renew(self, refused: str) -> bool:
        """Whether there is another token, now that GitHub refused this one."""
        found = self._found()
        return False if isinstance(found, str) else found.renew(refused)

    def app_login(self) -> str | None:
        """The App's login, None for somebody's token."""
        found = self._found()
        return None if isinstance(found, str) else found.login()

    def installation(self) -> AppInstallation | None:
        """The App's installation, None for somebody's token."""
        found = self._found()
        return None if isinstance(found, str) else found

    def _found(self) -> str | AppInstallation:
        configured = self._configured()
        if isinstance(configured, str):
            return configured
        with self._lock:  # a reload may bring another key
            if self._installation is None or self._installation.identity != configured:
                self._installation = self._act_as(configured)
            return self._installation
