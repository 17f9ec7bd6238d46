"""Talks with the git server, each with the login of the moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from claude_flow.errors import (
    ProcessTimedOutError,
    PushRejectedError,
    WorkspaceError,
    WorkspaceUnreachableError,
)
from claude_flow.model.issue import Repository
from claude_flow.ports import Completed
from claude_flow.workspace.credentials import offered
from claude_flow.workspace.failures import Fault, fault, server_error, words
from claude_flow.workspace.git import Git, Place
from claude_flow.workspace.settings import WorkspaceSettings

_PLAIN_FETCH = (
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
)
# GitHub's word for a pointer of Git LFS whose object it does not have.
_LARGE_FILE_UNKNOWN = "GH008"
# As one pack each, however small: loose objects would pile up uncounted.
_AS_PACKS = (("fetch.unpackLimit", "1"),)


class Remote:
    """The git server, as the daemon's trusted repositories talk with it."""

    def __init__(self, git: Git, settings: WorkspaceSettings) -> None:
        self._git = git
        self._settings = settings
        scheme = urlsplit(settings.git_base_url).scheme
        # Whatever else a server or a submodule may name stays shut.
        self._allowed = "file" if scheme == "file" else "http:https"

    async def fetch(
        self, place: Place, source: str, refspecs: Sequence[str], *, keep_open: int
    ) -> Completed:
        """Fetch into a trusted repository; branches that are gone there go here too.

        ``source`` is an address, or the name of a remote in the repository's configuration.
        """
        return await self._talk(
            place,
            "fetch",
            *_PLAIN_FETCH,
            "--prune",
            "--force",
            source,
            *refspecs,
            config=_AS_PACKS,
            keep_open=(keep_open,),
        )

    async def fetch_objects(
        self, place: Place, source: str, objects: Iterable[str], *, keep_open: int
    ) -> Completed:
        """Fetch single objects into a trusted repository that was fetched without them."""
        return await self._talk(
            place,
            "fetch",
            *_PLAIN_FETCH,
            "--stdin",
            source,
            config=(*_AS_PACKS, ("fetch.negotiationAlgorithm", "noop")),
            keep_open=(keep_open,),
            stdin="".join(f"{name}\n" for name in objects).encode(),
        )

    async def push(
        self,
        place: Place,
        repository: Repository,
        *,
        commit: str,
        branch: str,
        expected: str | None,
    ) -> None:
        """Move the server's branch from ``expected`` (None: no such branch) to ``commit``.

        Raises PushRejectedError if the branch is elsewhere or the server refuses.
        """
        ref = f"refs/heads/{branch}"
        done = await self._talk(
            place,
            "push",
            "--porcelain",
            "--no-verify",
            "--no-follow-tags",
            "--recurse-submodules=no",
            f"--force-with-lease={ref}:{expected or ''}",
            self._settings.url(repository),
            f"{commit}:{ref}",
        )
        if done.exit_code != 0:
            raise self._push_error(repository, branch, done)

    async def lfs(
        self,
        place: Place,
        *arguments: str,
        config: tuple[tuple[str, str], ...],
        keep_open: tuple[int, ...] = (),
    ) -> Completed:
        """Let git-lfs talk with its server, which is to be the git server's."""
        return await self._talk(place, "lfs", *arguments, config=config, keep_open=keep_open)

    def error(self, doing: str, repository: Repository, done: Completed) -> WorkspaceError:
        """The error for a talk that failed; ``doing`` is ``fetching``."""
        return server_error(
            f"{doing} {repository} from {self._settings.url(repository)}", done.stderr
        )

    def _push_error(self, repository: Repository, branch: str, done: Completed) -> WorkspaceError:
        refusal = _refusal(done.stdout)
        if refusal is None and fault(done.stderr) is not Fault.FORBIDDEN:
            return server_error(
                f"pushing {branch} to {self._settings.url(repository)}", done.stderr
            )
        said = "; ".join(part for part in (refusal, words(done.stderr)) if part)
        if refusal is not None and "stale info" in refusal:
            return PushRejectedError(
                f"somebody else moved the branch {branch} of {repository} in the meantime: {said}",
                hint="ask for a new run; it will start from the branch as it is now",
            )
        hint = (
            "check the branch's protection rules and that the token may write contents "
            "(and workflows, if the change touches .github/workflows)"
        )
        if _LARGE_FILE_UNKNOWN in said:
            hint = "set workspace.lfs to true, so that large files are brought to the server"
        return PushRejectedError(
            f"the git server refused the push of {branch} to {repository}: {said}", hint=hint
        )

    async def _talk(
        self,
        place: Place,
        *arguments: str,
        config: tuple[tuple[str, str], ...] = (),
        keep_open: tuple[int, ...] = (),
        stdin: bytes | None = None,
    ) -> Completed:
        # The login may have to be asked for over the network: not in the event loop.
        credential = await asyncio.to_thread(self._settings.credential)
        try:
            with offered(credential, self._settings.git_base_url) as offer:
                return await self._git.run(
                    place,
                    *arguments,
                    config=(*config, *offer.config),
                    env={"GIT_ALLOW_PROTOCOL": self._allowed},
                    stdin=stdin,
                    pass_fds=(*keep_open, *offer.fds),
                    timeout_seconds=self._settings.transfer_timeout_seconds,
                )
        except WorkspaceError as error:
            if not isinstance(error.__cause__, ProcessTimedOutError):
                raise
            raise WorkspaceUnreachableError(
                f"the git server {self._settings.git_base_url} is too slow: {error.message}",
                hint="check the network; it is worth trying again later",
            ) from error


def _refusal(porcelain: bytes) -> str | None:
    """Why the server or git refused the one branch, from ``git push --porcelain``."""
    for line in porcelain.decode(errors="replace").splitlines():
        flag, *rest = line.split("\t")
        if flag == "!" and rest:
            return rest[-1].strip()
    return None
