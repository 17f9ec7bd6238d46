"""Every error this package raises on purpose, under one root.

A message says what happened, where and with which value (never a secret); ``hint`` says what
to do about it. Entry points print both on one line each and leave with ``exit_code``.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: systemd starts the daemon anew
EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h: systemd does not restart on it


class ClaudeFlowError(Exception):
    """Root of the package's errors.

    ``hint`` is one sentence that tells the operator what to do, or None.
    """

    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(ClaudeFlowError):
    """The caller named something that cannot be: a malformed issue, an unknown run."""

    exit_code = EXIT_USAGE


class GitHubError(ClaudeFlowError):
    """GitHub answered, but not with what was asked for."""


class TokenRefusedError(GitHubError):
    """401: the token is wrong, expired or revoked."""


class ForbiddenError(GitHubError):
    """403 that is not a rate limit: the token lacks a permission."""


class NotFoundError(GitHubError):
    """404 or 410: it does not exist, or the token may not see it."""


class RejectedError(GitHubError):
    """409 or 422: GitHub understood and refused."""


class RateLimitedError(GitHubError):
    """A primary or secondary limit; ``retry_after_seconds`` says how long GitHub asks to wait."""

    def __init__(
        self, message: str, *, retry_after_seconds: float, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class GitHubUnreachableError(GitHubError):
    """No usable answer: DNS, connection, time-out or 5xx. Trying again later may help."""


class ProcessError(ClaudeFlowError):
    """A helper program could not be started."""


class ProcessTimedOutError(ProcessError):
    """A helper program was not done in time and was ended."""


class WorkspaceError(ClaudeFlowError):
    """Git or the file system refused to prepare, read or clear a workspace."""


class WorkspaceGoneError(WorkspaceError):
    """What an agent worked in is not here: deleted, or on a host whose runs were taken over."""


class WorkspaceUnreachableError(WorkspaceError):
    """The git server could not be reached or broke off. Trying again later may help."""


class CommittedFileError(WorkspaceError):
    """A path of a branch is there, but is no file or is too large to be read."""


class PushRejectedError(WorkspaceError):
    """The git server refused the push: a protected branch, a moved branch, a missing right."""


class AgentUnavailableError(ClaudeFlowError):
    """The agent's program is not installed or not executable."""

    exit_code = EXIT_CONFIGURATION


class WorkflowFileError(ClaudeFlowError):
    """A repository's workflow file is invalid, or sets what its operator does not allow."""


class HookError(ClaudeFlowError):
    """A hook of a repository failed that an attempt does not go on without."""


class SandboxUnavailableError(ClaudeFlowError):
    """The sandbox that the configuration asks for cannot be made on this host."""

    exit_code = EXIT_CONFIGURATION


class ExecutionError(ClaudeFlowError):
    """An attempt's process could not be started, or something of it could not be ended."""


class EngineError(ClaudeFlowError):
    """The durable state could not be read or written."""

    exit_code = EXIT_TRY_AGAIN


class LeaseLostError(EngineError):
    """This host was not heard by the others for so long that its attempts had to end.

    The attempt does not count: it is resumed, here or by a host that has taken it over.
    """


class StateDirectoryError(EngineError):
    """The state directory cannot be used; starting anew does not mend it."""

    exit_code = EXIT_CONFIGURATION


class StateInUseError(EngineError):
    """Another daemon holds the lock on this state directory."""

    exit_code = EXIT_FAILED


class ServiceError(ClaudeFlowError):
    """systemd refused, or the service did not get where it was asked to go in time."""
