"""How the demo looks: a live table in a terminal, plain lines into a pipe."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

_MARKS = {"waiting": "·", "running": "▶", "done": "✓", "failed": "✗"}
_STYLES = {"waiting": "dim", "running": "cyan", "done": "green", "failed": "red"}


@dataclass(frozen=True, slots=True)
class Row:
    """One issue: ``outcome`` is ``waiting``, ``running``, ``done`` or ``failed``.

    ``activity`` says in a few words what is being done for a running one.
    """

    issue: str
    outcome: str
    activity: str
    pull_request: str | None
    seconds: float

    @classmethod
    def of(
        cls,
        issue: str,
        labels: Collection[str],
        pull_requests: Sequence[str],
        activity: str,
        seconds: float,
    ) -> Self:
        """The row that an issue's labels and pull requests tell."""
        outcome = next(
            (word for word in ("failed", "done", "running") if f"claude-flow:{word}" in labels),
            "waiting",
        )
        address = pull_requests[0] if pull_requests else None
        return cls(issue, outcome, activity if outcome == "running" else "", address, seconds)

    @property
    def is_over(self) -> bool:
        """Whether the issue's run has ended."""
        return self.outcome in {"done", "failed"}


class Screen:
    """Shows rows as they change; a context manager while they do."""

    def __init__(self, issues: Sequence[str]) -> None:
        self._console = Console()
        # Nothing is cut in a pipe: the width is what the text takes.
        self._is_live = self._console.is_terminal
        self._live = Live(console=self._console, refresh_per_second=8, transient=True)
        self._rows = {issue: Row(issue, "", "", None, 0.0) for issue in issues}
        self._seconds = 0.0

    def __enter__(self) -> Self:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_live:
            self._live.stop()

    def show(self, rows: Sequence[Row], seconds: float) -> None:
        """Take the present rows; an ended one keeps the seconds it took."""
        self._seconds = seconds
        for row in rows:
            before = self._rows[row.issue]
            self._rows[row.issue] = replace(row, seconds=before.seconds) if before.is_over else row
            if before.outcome != row.outcome and not self._is_live:
                self.say(f"{seconds:5.1f} s  {row.issue}: {row.outcome}")
        if self._is_live:
            self._live.update(self._table())

    def say(self, text: str) -> None:
        """One line above the table."""
        self._console.print(text, soft_wrap=True, highlight=False)

    def finish(self, address: str | None, *, kept: bool) -> None:
        """The closing table and where the page is."""
        if self._is_live:
            self._console.print(self._table())
        else:
            for row in self._rows.values():
                self.say(
                    f"{row.issue}\t{row.outcome}\t{row.pull_request or '-'}\t{row.seconds:.1f} s"
                )
        self.say(f"Status page: {address}" + ("" if kept else " (KEEP=1 keeps it up)"))
        if kept:
            self.say("Still running; Ctrl-C ends it.")

    def _table(self) -> Table:
        table = Table(title=f"claude_flow demo, {self._seconds:.0f} s", title_justify="left")
        table.add_column("Issue", no_wrap=True)
        table.add_column("Outcome", no_wrap=True)
        table.add_column("Pull request", overflow="fold")
        table.add_column("Seconds", justify="right", no_wrap=True)
        for row in self._rows.values():
            mark = f"{_MARKS.get(row.outcome, ' ')} {row.outcome}"
            table.add_row(
                row.issue,
                f"[{_STYLES.get(row.outcome, 'dim')}]{mark}[/]",
                row.pull_request or row.activity,
                f"{row.seconds:.1f}",
            )
        return table
