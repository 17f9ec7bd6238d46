"""The daemon's own git: the same on every host, and deaf to what others configure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from claude_flow.errors import ProcessError, ProcessTimedOutError, WorkspaceError
from claude_flow.ports import Completed, Processes
from claude_flow.workspace.failures import words
from claude_flow.workspace.settings import WorkspaceSettings

_PASSED_ON = (
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "CURL_CA_BUNDLE",
)
_USUAL_PATH = "/usr/local/bin:/usr/bin:/bin"

# What git could be made to run or read besides what it is asked for, switched off. These come
# last of all configuration and so win over any file.
_CONFIG = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.quotePath", "false"),
    ("commit.gpgSign", "false"),
    ("push.gpgSign", "false"),
    ("push.followTags", "false"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("advice.detachedHead", "false"),
    ("checkout.workers", "0"),
    # A server that trickles less than 1,000 bytes/s for a minute is as good as gone.
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "60"),
    ("credential.helper", ""),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a git command works: a repository, and a worktree with an index if it needs them."""

    repository: Path
    worktree: Path | None = None
    index: Path | None = None

    def environment(self) -> dict[str, str]:
        """What tells git to look nowhere else."""
        env = {"GIT_DIR": str(self.repository)}
        if self.worktree is not None:
            env["GIT_WORK_TREE"] = str(self.worktree)
        if self.index is not None:
            env["GIT_INDEX_FILE"] = str(self.index)
        return env


class Git:
    """Runs git with a complete environment of its own.

    Raises WorkspaceError if git cannot be started or takes too long.
    """

    def __init__(self, processes: Processes, settings: WorkspaceSettings) -> None:
        self._processes = processes
        self._host = settings.host_environment
        self._local_timeout = settings.local_timeout_seconds

    async def run(
        self,
        place: Place,
        *arguments: str,
        config: Iterable[tuple[str, str]] = (),
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        pass_fds: Sequence[int] = (),
        timeout_seconds: float | None = None,
    ) -> Completed:
        """Run ``git arguments`` there; any exit code is an answer."""
        return await self.program(
            ("git", *arguments),
            cwd=place.worktree or place.repository,
            env={**place.environment(), **_as_environment((*_CONFIG, *config)), **(env or {})},
            stdin=stdin,
            pass_fds=pass_fds,
            timeout_seconds=timeout_seconds,
        )

    async def text(
        self,
        place: Place,
        *arguments: str,
        config: Iterable[tuple[str, str]] = (),
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> str:
        """What ``git arguments`` prints, less its last line break. WorkspaceError if it fails."""
        done = await self.run(place, *arguments, config=config, env=env, stdin=stdin)
        if done.exit_code != 0:
            raise WorkspaceError(
                f"git {arguments[0]} failed in {place.worktree or place.repository}: "
                f"{words(done.stderr)}"
            )
        return done.stdout.decode(errors="surrogateescape").removesuffix("\n")

    async def program(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        pass_fds: Sequence[int] = (),
        timeout_seconds: float | None = None,
    ) -> Completed:
        """Run any helper program with the same bare environment."""
        try:
            return await self._processes.run(
                argv,
                cwd=cwd,
                env={**self._environment(), **(env or {})},
                stdin=stdin,
                pass_fds=pass_fds,
                timeout_seconds=timeout_seconds or self._local_timeout,
            )
        except ProcessTimedOutError as error:
            raise WorkspaceError(
                error.message, hint="is the disk, or the git server, very slow?"
            ) from error
        except ProcessError as error:
            raise WorkspaceError(error.message, hint=error.hint) from error

    def _environment(self) -> dict[str, str]:
        # An entry that is not absolute would let a workspace, git's working directory, name
        # the programs to run.
        entries = self._host.get("PATH", _USUAL_PATH).split(":")
        return {
            "PATH": ":".join(entry for entry in entries if entry.startswith("/")) or _USUAL_PATH,
            "HOME": "/nonexistent",
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_ADVICE": "0",
            "GIT_ALLOW_PROTOCOL": "",
            **{name: self._host[name] for name in _PASSED_ON if name in self._host},
        }


def _as_environment(config: Sequence[tuple[str, str]]) -> dict[str, str]:
    env = {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config):
        env[f"GIT_CONFIG_KEY_{number}"] = key
        env[f"GIT_CONFIG_VALUE_{number}"] = value
    return env
