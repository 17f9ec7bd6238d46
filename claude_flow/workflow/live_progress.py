"""What running agents last said, while they run: nothing of it outlives the process."""

from __future__ import annotations

from dataclasses import dataclass, field

from claude_flow.ports import Progress


@dataclass(slots=True)
class LiveProgress:
    """What the agents of this process last said; written by their threads, read by others."""

    by_run: dict[str, Progress] = field(default_factory=dict)

    def note(self, run_id: str, progress: Progress) -> None:
        """Keep the latest word of a run's agent."""
        self.by_run[run_id] = progress

    def cost_usd(self, run_id: str) -> float:
        """What a run's agent told so far of what its attempt costs."""
        told = self.by_run.get(run_id)
        return 0.0 if told is None else told.usage.cost_usd or 0.0

    def forget(self, run_id: str) -> None:
        """The run's attempt is over."""
        self.by_run.pop(run_id, None)
