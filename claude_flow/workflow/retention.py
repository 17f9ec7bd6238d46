"""Which of the things that runs left on the disk go, and when: a pure choice."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from claude_flow.model.run import RunState
from claude_flow.ports import StoredMirror


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """How long things are kept and how much room they may take; None sets no limit."""

    keep_failed: timedelta
    keep_runs: timedelta
    max_total_bytes: int | None
    min_free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupant:
    """A run that has a directory.

    ``state`` is None for one that the record does not know. ``since`` is when it ended, or else
    when its directory last changed. ``workspace_bytes`` is None where it has no workspace.
    """

    run_id: str
    state: RunState | None
    since: datetime
    workspace_bytes: int | None = None
    mirror: str | None = None

    @property
    def is_active(self) -> bool:
        """Whether it may still be worked on."""
        return self.state is not None and not self.state.is_final


@dataclass(frozen=True, slots=True)
class Removals:
    """What is to go: ``runs`` with all they have, of ``workspaces`` the logs stay."""

    workspaces: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    mirrors: tuple[StoredMirror, ...] = ()


def choose_removals(
    occupants: Sequence[Occupant],
    mirrors: Sequence[StoredMirror],
    *,
    watched: Collection[str],
    policy: RetentionPolicy,
    now: datetime,
    free_bytes: int,
) -> Removals:
    """Choose what goes; never anything of an active run.

    Workspaces of runs that did not fail go at once, others when their time is over, and before
    that, oldest first, while all together take too much or the disk has too little left.
    ``watched`` are the paths of the mirrors of repositories in the configuration.
    """
    runs = {
        one.run_id for one in occupants if not one.is_active and one.since + policy.keep_runs <= now
    }
    workspaces = {
        one.run_id
        for one in occupants
        if one.workspace_bytes is not None and one.run_id not in runs and _is_over(one, policy, now)
    }
    left = [one for one in occupants if one.run_id not in runs | workspaces]
    workspaces |= set(_beyond(left, policy, free_bytes + _bytes(occupants) - _bytes(left)))
    borrowing = [
        one
        for one in occupants
        if one.workspace_bytes is not None and one.run_id not in runs | workspaces
    ]
    return Removals(
        workspaces=tuple(one.run_id for one in occupants if one.run_id in workspaces),
        runs=tuple(one.run_id for one in occupants if one.run_id in runs),
        mirrors=tuple(
            mirror
            for mirror in mirrors
            if mirror.path not in watched
            and mirror.used_at + policy.keep_runs <= now
            and not any(one.mirror in {None, mirror.path} for one in borrowing)
        ),
    )


def _is_over(one: Occupant, policy: RetentionPolicy, now: datetime) -> bool:
    if one.is_active:
        return False
    is_kept = one.state in {RunState.FAILED, None}
    return not is_kept or one.since + policy.keep_failed <= now


def _beyond(left: Sequence[Occupant], policy: RetentionPolicy, free_bytes: int) -> list[str]:
    """The oldest workspaces that have to go to make room."""
    excess = max(
        0 if policy.max_total_bytes is None else _bytes(left) - policy.max_total_bytes,
        policy.min_free_bytes - free_bytes,
    )
    going: list[str] = []
    for one in sorted(left, key=lambda one: one.since):
        if excess <= 0:
            break
        if not one.is_active and one.workspace_bytes is not None:
            going.append(one.run_id)
            excess -= one.workspace_bytes
    return going


def _bytes(occupants: Sequence[Occupant]) -> int:
    return sum(one.workspace_bytes or 0 for one in occupants)
