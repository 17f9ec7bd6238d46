"""Keeps what runs leave on the disk within its bounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from claude_flow.errors import WorkspaceError
from claude_flow.model.issue import Repository
from claude_flow.model.run import Run
from claude_flow.ports import Engine, Storage, StoredRun
from claude_flow.workflow.removal import WorkspaceRemoval
from claude_flow.workflow.retention import Occupant, Removals, RetentionPolicy, choose_removals

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Housekeeping:
    """Looks at what is there, asks the record how the runs stand, removes what is to go."""

    storage: Storage
    removal: WorkspaceRemoval
    engine: Engine
    policy: Callable[[], RetentionPolicy]
    repositories: Callable[[], Iterable[Repository]]
    free_bytes: Callable[[], int]
    clock: Callable[[], datetime]
    # A final run's workspace does not change any more, and measuring a large one takes seconds.
    _measured: dict[str, int] = field(default_factory=dict, init=False)

    async def tidy(self) -> Removals:
        """Go round once; what was removed.

        Raises WorkspaceError, after the rest was done, if something could not be removed, and
        EngineError.
        """
        # In this order: a run that gets a directory meanwhile is not looked at.
        stored = await self.storage.stored_runs()
        mirrors = await self.storage.stored_mirrors()
        runs = {one.run_id: await asyncio.to_thread(self.engine.get, one.run_id) for one in stored}
        occupants = await self._occupants(stored, runs)
        removals = choose_removals(
            occupants,
            mirrors,
            watched={self.storage.mirror_of(repository) for repository in self.repositories()},
            policy=self.policy(),
            now=self.clock(),
            free_bytes=self.free_bytes(),
        )
        await self._remove(removals, runs)
        return removals

    async def _occupants(
        self, stored: list[StoredRun], runs: Mapping[str, Run | None]
    ) -> list[Occupant]:
        active = {
            run_id for run_id, run in runs.items() if run is not None and not run.state.is_final
        }
        occupied = {one.run_id for one in stored if one.has_workspace}
        known = {
            run_id: size
            for run_id, size in self._measured.items()
            if run_id in occupied and run_id not in active
        }
        self._measured = known | dict(await self.storage.workspace_bytes(occupied - known.keys()))
        return [
            Occupant(
                run_id=one.run_id,
                state=None if run is None else run.state,
                since=(run.ended_at if run is not None else None) or one.changed_at,
                workspace_bytes=self._measured.get(one.run_id, 0) if one.has_workspace else None,
                mirror=one.mirror,
            )
            for one in stored
            for run in [runs[one.run_id]]
        ]

    async def _remove(self, removals: Removals, runs: Mapping[str, Run | None]) -> None:
        failed: WorkspaceError | None = None
        for run_id in removals.workspaces:
            _log.info("removing the workspace of %s", run_id)
            failed = await _tried(self.removal.remove(run_id, runs[run_id])) or failed
        for run_id in removals.runs:
            _log.info("removing what is left of %s", run_id)
            failed = await _tried(self.removal.remove(run_id, runs[run_id])) or failed
            failed = await _tried(self.storage.remove_run(run_id)) or failed
        for mirror in removals.mirrors:
            _log.info("removing the mirror %s", mirror.path)
            failed = await _tried(self.storage.remove_mirror(mirror)) or failed
        if failed is not None:
            raise failed


async def _tried(removing: Awaitable[object]) -> WorkspaceError | None:
    try:
        await removing
    except WorkspaceError as error:
        return error
    return None
