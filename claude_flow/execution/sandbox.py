"""Whether attempts run in a sandbox on this host, and what each of them sees there."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from claude_flow.errors import ExecutionError, SandboxUnavailableError
from claude_flow.execution.bubblewrap import SYSTEM_DIRECTORIES, View, wrapped
from claude_flow.execution.forwarding import ForwardProxy
from claude_flow.execution.hosts import HostList
from claude_flow.execution.way_out import (
    Passed,
    door_command,
    door_files,
    passed_over,
    proxy_environment,
)
from claude_flow.ports import AgentCommand, AgentPlaces, AgentTask

_log = logging.getLogger(__name__)

_TRIAL_SECONDS = 20.0
_PATH = "/usr/local/bin:/usr/bin:/bin"
_INSTALL = "install the package bubblewrap"
_ALLOW = (
    "allow unprivileged user namespaces to the service (sysctl user.max_user_namespaces and "
    "kernel.unprivileged_userns_clone, an AppArmor profile for bwrap, RestrictNamespaces=, "
    "ProtectKernelTunables=, ProtectHostname= and RestrictSUIDSGID= of its unit)"
)


class SandboxMode(StrEnum):
    """The setting ``execution.sandbox``."""

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


class Network(StrEnum):
    """The setting ``execution.network``."""

    OPEN = "open"
    HOSTS = "hosts"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """The part of ``execution.*`` that bounds what an attempt reaches.

    ``is_local`` says whether attempts are this process's children: units are bounded by systemd.
    ``programs`` are directories of installed agents, ``hidden`` the service's own files and
    directories; ``search_path`` is where bubblewrap itself is looked for. ``hosts`` is what
    ``Network.HOSTS`` allows, beside the hosts that an agent itself needs, ``forward`` the proxy
    through which such attempts go out.
    """

    is_local: bool = True
    mode: SandboxMode = SandboxMode.AUTO
    network: Network = Network.OPEN
    hosts: tuple[str, ...] = ()
    forward: ForwardProxy = field(default_factory=ForwardProxy)
    programs: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    search_path: str = _PATH

    @property
    def is_needed(self) -> bool:
        """Whether working without it would do something else than was asked for."""
        return self.mode is SandboxMode.REQUIRED or self.network is not Network.OPEN

    @property
    def has_proxy(self) -> bool:
        """Whether what leaves an attempt goes through a proxy."""
        return self.network is Network.HOSTS

    @property
    def network_text(self) -> str:
        """What an attempt reaches, in a few words."""
        if not self.has_proxy:
            return self.network
        return f"{self.network} (the model's, and {len(self.hosts)} of execution.network_hosts)"


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of trying to make a sandbox: ``fault`` is None if it works."""

    bwrap: str | None
    env: str | None
    fault: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A command started where it belongs; ``hosts`` is what its proxy allows, None without one.

    ``unseen`` are variables for ``claude-flow-run``, which the agent does not get.
    """

    command: AgentCommand
    hosts: tuple[str, ...] | None = None
    unseen: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class Sandbox:
    """Wraps attempts as the settings say. What this host can do is tried out once.

    ``places`` says what of a run its agent works with; None: its workspace is no worktree.
    """

    settings: SandboxSettings
    places: Callable[[str], AgentPlaces] | None = None
    _trial: Trial | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Say in the log how attempts will run.

        Raises SandboxUnavailableError if it is needed and does not work here.
        """
        trial = self._tried()
        if not self.settings.is_local:
            return
        if trial is None:
            _log.info("attempts run without a sandbox: execution.sandbox is off")
        elif trial.fault is None:
            _log.info("attempts run in a sandbox, network %s", self.settings.network_text)

    def wrap(self, task: AgentTask, command: AgentCommand) -> Wrapped:
        """The command, started where it belongs. Its directories and files are there by now.

        Raises SandboxUnavailableError, WorkspaceError if the workspace is not prepared, and
        ExecutionError if the agent's own hosts are none.
        """
        trial = self._tried()
        if trial is None or trial.bwrap is None or trial.env is None or trial.fault is not None:
            return Wrapped(command)
        places = None if self.places is None else self.places(task.run_id)
        view = view_of(self.settings, task, command, places)
        argv = wrapped(trial.bwrap, trial.env, view, command.argv)
        if not self.settings.has_proxy:
            return Wrapped(replace(command, argv=argv))
        texts = (*self.settings.hosts, *command.hosts)
        environment = {**command.environment, **proxy_environment(_hosts_of(texts))}
        bounded = replace(command, argv=argv, environment=environment)
        return Wrapped(bounded, texts, self.settings.forward.to_environment())

    def _tried(self) -> Trial | None:
        """None if no sandbox is wanted."""
        settings = self.settings
        require_sense(settings)
        if not settings.is_local or settings.mode is SandboxMode.OFF:
            _require_open(settings)
            return None
        with self._lock:
            if self._trial is None:
                self._trial = try_out(settings)
                if self._trial.fault is not None and not settings.is_needed:
                    _log.warning(
                        "%s, so an attempt sees what the service's user sees: %s",
                        self._trial.fault,
                        self._trial.hint,
                    )
            trial = self._trial
        if trial.fault is not None and settings.is_needed:
            why = (
                "execution.sandbox is required"
                if settings.mode is SandboxMode.REQUIRED
                else f"execution.network is {settings.network}, which needs the sandbox"
            )
            raise SandboxUnavailableError(f"{why}, but {trial.fault}", hint=trial.hint)
        return trial


def _hosts_of(texts: tuple[str, ...]) -> HostList:
    try:
        return HostList.of(texts)
    except ValueError as error:
        raise ExecutionError(
            f"the hosts that an attempt may reach cannot be told: {error}",
            hint="check execution.network_hosts and ANTHROPIC_BASE_URL",
        ) from error


def require_sense(settings: SandboxSettings) -> None:
    """Raise SandboxUnavailableError if the list of hosts has what no proxy could do."""
    try:
        HostList.of(settings.hosts).require_reachable()
    except ValueError as error:
        raise SandboxUnavailableError(
            f"execution.network_hosts: {error}", hint="take it from the list"
        ) from error


def _require_open(settings: SandboxSettings) -> None:
    """Raise SandboxUnavailableError if a bounded network is asked for where nothing bounds it."""
    if settings.network is Network.OPEN:
        return
    if settings.is_local:
        obstacle, setting = "execution.sandbox is off", "execution.sandbox to auto"
    else:
        obstacle, setting = "execution.backend is systemd", "execution.backend to local"
    raise SandboxUnavailableError(
        f"execution.network is {settings.network}, which needs the sandbox, but {obstacle}",
        hint=f"set {setting}, or execution.network to open",
    )


def try_out(settings: SandboxSettings) -> Trial:
    """Make a sandbox with nothing in it, as this user, on this host."""
    bwrap = shutil.which("bwrap", path=settings.search_path)
    env = shutil.which("env", path=_PATH)
    if bwrap is None or env is None:
        return Trial(bwrap, env, "bubblewrap is not installed", _INSTALL)
    view = View(
        workspace=Path("/"),
        readable=tuple(_both_names(_beside_the_system(settings))),
        has_network=settings.network is Network.OPEN,
        door=door_command() if settings.has_proxy else (),
    )
    said = _ask(wrapped(bwrap, env, view, ("true",)), has_proxy=settings.has_proxy)
    if said is None:
        return Trial(bwrap, env)
    return Trial(bwrap, env, f"{bwrap} cannot make a sandbox here ({said})", _ALLOW)


def _ask(argv: Sequence[str], *, has_proxy: bool) -> str | None:
    """None if it ends well, else what it complains of."""
    ours, theirs = socket.socketpair()  # nobody answers: nothing is asked of the proxy here
    passed = passed_over(theirs) if has_proxy else Passed()
    try:
        with ours, theirs:
            done = subprocess.run(
                argv,
                check=False,
                cwd="/",
                env={"PATH": _PATH, **passed.variables},
                pass_fds=passed.descriptors,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TRIAL_SECONDS,
            )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if done.returncode == 0:
        return None
    text = done.stderr.decode(errors="replace").strip()
    return text.splitlines()[-1] if text else f"exit code {done.returncode}"


def view_of(
    settings: SandboxSettings, task: AgentTask, command: AgentCommand, places: AgentPlaces | None
) -> View:
    """What this attempt sees."""
    writable = [task.workspace, task.scratch]
    readable: list[Path] = []
    if places is not None:
        writable.append(places.repository)
        readable.append(places.objects)
        if places.large_files is not None:
            readable.append(places.large_files)
    readable += _beside_the_system(settings)
    named = files_of(command.argv)
    shared = [
        *settings.readable,
        *settings.programs,
        *programs_of(named, command.environment),
    ]
    hidden = _both_names(settings.hidden)
    shared_read = tuple(_without(hidden, _outermost(_both_names(shared))))
    shared_write = tuple(_without(hidden, _both_names(settings.writable)))
    shared_places = (*shared_read, *shared_write)
    unseen = [path for path in named if _lies_in(path, hidden) or not _lies_in(path, shared_places)]
    return View(
        workspace=task.workspace,
        shared_read=shared_read,
        shared_write=shared_write,
        hidden=tuple(hidden),
        readable=tuple(_both_names((*readable, *unseen))),
        writable=tuple(_both_names(writable)),
        has_network=settings.network is Network.OPEN,
        door=door_command() if settings.has_proxy else (),
    )


def _beside_the_system(settings: SandboxSettings) -> list[Path]:
    """What the first program inside needs, as far as there is one and it is not there anyway."""
    needed = door_files() if settings.has_proxy else ()
    return [path for path in needed if not _is_system(path)]


def files_of(argv: Sequence[str]) -> list[Path]:
    """The files that a command line names, beside the system's: the operator wants them read."""
    named = [Path(text) for text in argv if text.startswith("/")]
    return [path for path in named if path.is_file() and not _is_system(path)]


def programs_of(named: Sequence[Path], environment: Mapping[str, str]) -> Iterator[Path]:
    """Where the programs that it may start lie, as far as that is no system directory.

    The directories of the PATH, what links in them lead to, and the libraries beside them; the
    same for those of the files named in the command line that lie in a directory called bin.
    """
    directories = [Path(text) for text in environment.get("PATH", _PATH).split(":")]
    directories += [path.parent for path in named if path.parent.name == "bin"]
    for directory in directories:
        if directory.is_absolute() and directory.is_dir() and not _is_system(directory):
            yield from _with_libraries(directory)
            for target in _led_to(directory):
                if target.parent.name == "bin":
                    yield from _with_libraries(target.parent)
                else:
                    yield target


def _with_libraries(directory: Path) -> Iterator[Path]:
    yield directory
    if directory.name == "bin":
        yield from (directory.parent / name for name in ("lib", "lib64", "pyvenv.cfg"))


def _led_to(directory: Path) -> Iterator[Path]:
    try:
        links = [entry for entry in directory.iterdir() if entry.is_symlink()]
    except OSError:
        return
    yield from (target for link in links if (target := link.resolve()).is_file())


def _is_system(path: Path) -> bool:
    return _lies_in(path, SYSTEM_DIRECTORIES)


def _lies_in(path: Path, places: Iterable[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)


def _both_names(paths: Iterable[Path]) -> list[Path]:
    """Those that are there, each as it was named and as it is without links."""
    there = [path for path in paths if os.path.lexists(path) and path.exists()]
    return list(dict.fromkeys(name for path in there for name in (path, path.resolve())))


def _outermost(paths: Sequence[Path]) -> list[Path]:
    """Without those that lie in others or in the system's directories."""
    return [
        path
        for path in paths
        if not _is_system(path) and not any(other in path.parents for other in paths)
    ]


def _without(hidden: Sequence[Path], paths: Iterable[Path]) -> Iterator[Path]:
    """Without those that are, or lie in, what is hidden."""
    return (path for path in paths if not _lies_in(path, hidden))
