"""``WorkflowRunner``: one issue to its outcome in the foreground, without a daemon."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from claude_flow.bootstrap import Parts, wire
from claude_flow.config import ConfigManager
from claude_flow.errors import UsageError, WorkspaceError
from claude_flow.model.issue import IssueRef
from claude_flow.model.run import Run, RunState
from claude_flow.ports import Progress
from claude_flow.triggers.operator import submit_for_operator

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2

OnChange = Callable[[Run, Progress], None]


@dataclass(frozen=True, slots=True)
class RunResult:
    """What became of a run; ``run`` is final."""

    run: Run

    @property
    def succeeded(self) -> bool:
        """Whether a pull request was opened or updated."""
        return self.run.state is RunState.SUCCEEDED

    @property
    def pull_request(self) -> str | None:
        """The pull request's address."""
        return self.run.pull_request


class WorkflowRunner:
    """Works on single issues in the foreground."""

    def __init__(
        self,
        config: ConfigManager,
        *,
        environ: Mapping[str, str] | None = None,
        new_key: Callable[[], str] = lambda: uuid.uuid4().hex,
        on_change: OnChange = lambda _run, _progress: None,
    ) -> None:
        """Take the configuration in force.

        ``environ`` is the host's environment, None the process's own; ``new_key`` names a
        request; ``on_change`` hears of each change of the run and of its agent's progress.
        """
        self._config = config
        self._environ = environ
        self._new_key = new_key
        self._on_change = on_change

    def run(self, issue: str) -> RunResult:
        """Take ``owner/name#7`` to its outcome, all attempts included. Blocks.

        What an interrupted process left unfinished is resumed by the next one on this state.

        Raises:
            UsageError: The name is malformed, or the issue is worked on already.
            StateInUseError: A daemon holds the state directory.
            AgentUnavailableError: The agent is not installed.
            SandboxUnavailableError: The sandbox that is asked for cannot be made here.
            GitHubError: The issue cannot be read.
            EngineError: The state cannot be used.
        """
        ref = IssueRef.parse(issue)
        parts = wire(self._config, environ=self._environ)
        parts.agent().check()
        parts.sandbox.check()
        parts.github.issue(ref)  # a wrong name or token is said before anything is queued
        parts.engine.launch(parts.attempts)
        try:
            run = submit_for_operator(parts.engine, ref, key=self._new_key(), at=parts.clock())
            if run is None:
                raise UsageError(
                    f"{ref} is being worked on already",
                    hint="claude-flowctl runs list shows its run; wait for it or cancel it",
                )
            result = RunResult(self._follow(parts, run))
            _tidy(parts)
            return result
        finally:
            parts.engine.close(grace_seconds=0)

    def _follow(self, parts: Parts, run: Run) -> Run:
        told: tuple[Run, Progress] | None = None
        while True:
            parts.engine.check()
            run = parts.engine.get(run.id) or run
            now = (run, parts.progress.by_run.get(run.id, Progress()))
            if now != told:
                self._on_change(*now)
                told = now
            if run.state.is_final:
                return run
            time.sleep(_LOOK_SECONDS)


def _tidy(parts: Parts) -> None:
    """What a daemon does at intervals, for hosts without one."""
    try:
        asyncio.run(parts.housekeeping.tidy())
    except WorkspaceError as error:
        _log.warning("cannot clear up what runs left: %s", error)
