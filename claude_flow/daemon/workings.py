"""What the loop, the HTTP side and the daemon around them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from claude_flow.bootstrap import Parts
from claude_flow.daemon.metrics import Metrics
from claude_flow.daemon.polling import PollSchedule


@dataclass(slots=True)
class Pulse:
    """When the loop last came round, and what it found; written by the loop alone.

    Times are monotonic seconds. ``tick_limit_seconds`` is how long one turn may take before
    the loop counts as dead.
    """

    started: float
    ticked: float
    tick_limit_seconds: float = 150.0
    database_fault: str | None = None
    configuration_fault: str | None = None
    is_stopping: bool = False


@dataclass(frozen=True, slots=True)
class Workings:
    """One daemon's parts and what is known of them; ``monotonic`` gives seconds."""

    parts: Parts
    schedule: PollSchedule
    pulse: Pulse
    metrics: Metrics
    monotonic: Callable[[], float]
