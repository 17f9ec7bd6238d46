"""The daemon from its start to its end: launch, turns, reload, drain."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from claude_flow import journal
from claude_flow.bootstrap import Parts, end_orphans, warn_of_limits, wire
from claude_flow.config import ConfigError, ConfigFileError, ConfigManager, RunningRecord
from claude_flow.daemon.http import create_app
from claude_flow.daemon.http_guard import ApiToken
from claude_flow.daemon.http_server import RunningServer, serve
from claude_flow.daemon.loop import Loop
from claude_flow.daemon.metrics import Metrics
from claude_flow.daemon.polling import PollSchedule
from claude_flow.daemon.tidying import Tidying
from claude_flow.daemon.view import DaemonView
from claude_flow.daemon.workings import Pulse, Workings
from claude_flow.errors import EXIT_FAILED, EngineError
from claude_flow.model.issue import Repository
from claude_flow.service import ServiceManager
from claude_flow.service.places import runtime_directories
from claude_flow.systemd.notify import Notifier
from claude_flow.version import __version__

_log = logging.getLogger(__name__)

_STATUS_SECONDS = 10.0
_PING_SECONDS = 5.0


class Daemon:
    """One daemon on one event loop."""

    def __init__(
        self,
        config: ConfigManager,
        notifier: Notifier,
        *,
        environ: Mapping[str, str],
        once: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._notifier = notifier
        self._environ = environ
        self._once = once
        self._monotonic = monotonic
        self._stopping = asyncio.Event()
        self._reload_asked = False
        self._fatal: EngineError | None = None
        now = monotonic()
        self._pulse = Pulse(started=now, ticked=now)
        self._schedule = PollSchedule(lambda: float(config.get("github.poll_interval_seconds")))
        self._parts: Parts = wire(config, environ=environ, on_fatal=self._on_fatal)
        self._runloop = asyncio.get_running_loop()
        workings = Workings(
            self._parts, self._schedule, self._pulse, Metrics(__version__), monotonic
        )
        self._loop = Loop(workings, ping=notifier.watchdog)
        self._tidying = Tidying(self._parts.housekeeping, monotonic=monotonic)
        self._view = DaemonView(workings, wake=self._wake_from_anywhere)
        self._running: RunningRecord | None = None
        self._service = ServiceManager(config, environ=environ)
        self._status_due = 0.0
        self._status_written: asyncio.Future[object] = self._runloop.create_future()
        self._status_written.set_result(None)
        self._is_drained = False

    async def run(self) -> int:
        """Run until told to stop; the exit code. Raises ClaudeFlowError if it cannot start."""
        self._parts.agent().check()
        self._parts.sandbox.check()
        await asyncio.to_thread(end_orphans, self._parts)
        await asyncio.to_thread(warn_of_limits, self._parts)
        await asyncio.to_thread(self._parts.engine.launch, self._parts.attempts)
        try:
            with self._signals():
                await self._live()
        finally:
            if not self._is_drained:
                await asyncio.to_thread(self._parts.engine.close, grace_seconds=0.0)
        if self._fatal is not None:
            raise self._fatal
        return EXIT_FAILED if self._once and self._loop.unreached else 0

    async def _live(self) -> None:
        server = await self._serve()
        try:
            await self._work(server)
            await self._drain()  # health and state are answered until the last run has ended
        finally:
            await server.stop()

    # --- the working life -------------------------------------------------------------------

    async def _work(self, server: RunningServer) -> None:
        self._follow_configuration()
        self._notifier.ready(f"watching {len(self._schedule.repositories)} repositories")
        _log.info(
            "claude-flow-service %s watches %s; page at http://%s/",
            __version__,
            ", ".join(map(str, self._schedule.repositories)),
            server.address,
        )
        while not self._stopping.is_set() and not self._is_done():
            if self._reload_asked:
                self._reload_asked = False
                await self._reload()
            await self._loop.turn(polls=not (self._once and self._loop.looked_everywhere))
            self._tidying.turn()
            self._write_status()
            if server.task.done():
                server.task.result()
                _log.error("the HTTP side ended by itself; the service restarts")
                raise EngineError("the HTTP side ended by itself")
            await self._loop.pause()

    def _is_done(self) -> bool:
        return self._once and self._loop.looked_everywhere and self._loop.is_idle

    def _follow_configuration(self) -> None:
        repositories = [Repository.parse(text) for text in self._config.get("github.repositories")]
        for dropped in set(self._schedule.repositories) - set(repositories):
            self._parts.poller.forget(dropped)
        self._schedule.follow(repositories, self._monotonic())

    async def _reload(self) -> None:
        self._notifier.reloading()
        try:
            changed = await asyncio.to_thread(self._config.reload)
        except ConfigError as error:
            self._pulse.configuration_fault = str(error)
            _log.error("the configuration is invalid, the last good one stays in force: %s", error)
        else:
            self._pulse.configuration_fault = None
            await self._take_over(changed)
        self._notifier.ready()

    async def _take_over(self, changed: tuple[str, ...]) -> None:
        _log.info("configuration reloaded; changed: %s", ", ".join(changed) or "nothing")
        restart = self._config.needs_restart(changed)
        if restart:
            _log.warning("these take effect only after a restart: %s", ", ".join(restart))
        await asyncio.to_thread(warn_of_limits, self._parts)
        journal.redactor.add(*self._config.snapshot().secrets())
        journal.set_level(self._config.get("service.log_level"))
        self._follow_configuration()
        self._schedule.hurry(self._monotonic())
        self._tidying.hurry()
        if self._running is not None:
            snapshot = self._config.snapshot()
            await self._leave_configuration(partial(self._running.take_over, snapshot))
        try:
            await asyncio.to_thread(
                self._parts.engine.set_limits,
                self._config.get("service.max_concurrent_runs"),
                self._config.get("service.max_concurrent_runs_per_repository"),
            )
        except EngineError as error:
            _log.warning("the new limits are not in force yet: %s", error)

    # --- the end ----------------------------------------------------------------------------

    async def _drain(self) -> None:
        self._pulse.is_stopping = True
        self._notifier.stopping("waiting for running attempts")
        if self._parts.units is not None:
            grace = 0.0
            _log.info("stopping; running attempts go on in units of their own")
        else:
            grace = float(self._config.get("service.shutdown_grace_seconds"))
            grace = 0.0 if self._fatal else grace
            _log.info("stopping; running attempts have %.0f s", grace)
        await self._loop.settle()
        await self._tidying.stop()
        closing = asyncio.create_task(
            asyncio.to_thread(self._parts.engine.close, grace_seconds=grace)
        )
        while not closing.done():
            await asyncio.wait({closing}, timeout=_PING_SECONDS)
            self._notifier.watchdog()
        closing.result()
        self._is_drained = True

    # --- the world outside ------------------------------------------------------------------

    async def _serve(self) -> RunningServer:
        text = secrets.token_urlsafe(32)
        journal.redactor.add(text)
        token = ApiToken(text)
        server = await serve(
            create_app(self._view, token),
            self._config.get("monitoring.http_host"),
            self._config.get("monitoring.http_port"),
        )
        # Only once the port is ours: another daemon's clients keep that one's token.
        directory = next(runtime_directories(self._config, self._environ))
        token.write(directory)
        server.write_address(directory)
        self._running = RunningRecord(directory, self._config.snapshot())
        await self._leave_configuration(self._running.write)
        return server

    async def _leave_configuration(self, leave: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(leave)
        except ConfigFileError as error:
            _log.warning("%s", error)

    def _write_status(self) -> None:
        if self._monotonic() < self._status_due or not self._status_written.done():
            return
        self._status_due = self._monotonic() + _STATUS_SECONDS
        # Beside the loop: it asks systemd, which may be slow. It says itself if it cannot write.
        # The daemon may not read its own journal, and nobody needs that told by it.
        self._status_written = asyncio.create_task(
            asyncio.to_thread(self._service.status, journal_lines=0)
        )

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        handlers = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._stop,
            signal.SIGHUP: self._ask_for_reload,
        }
        for number, handler in handlers.items():
            self._runloop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                self._runloop.remove_signal_handler(number)

    def _stop(self) -> None:
        self._stopping.set()
        self._loop.wake()

    def _ask_for_reload(self) -> None:
        self._reload_asked = True
        self._loop.wake()

    def _on_fatal(self, error: EngineError) -> None:
        self._fatal = error
        self._runloop.call_soon_threadsafe(self._stop)

    def _wake_from_anywhere(self) -> None:
        self._runloop.call_soon_threadsafe(self._loop.wake)
