"""Many attempts in a row on one real daemon, whose memory and open files must stay flat.

A stand-in GitHub, real git, real SQLite, a quick ``command`` agent. Every third attempt fails
and is tried again. Exits with 1 if memory or open files grew by 5 % or more between the end of
the warm-up and the end. The warm-up fills what grows up to a bound and stays: pools of threads,
each with its connection to GitHub, and pools of database connections, each with its cache.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from claude_flow.model.issue import IssueRef, Repository
from claude_flow.testing.daemon_process import DaemonProcess
from claude_flow.testing.installation import Installation
from claude_flow.testing.world import World

MOST_GROWTH = 0.05
REPOSITORIES = 4
LOOK_SECONDS = 0.25
# Single looks differ by what is under way, which only adds: the least of this many attempts counts.
SAMPLE_ATTEMPTS = 20

SUCCEEDS = "Path('made.txt').write_text(os.environ['CLAUDE_FLOW_RUN_ID'])"
FAILS_ONCE = f"""\
{SUCCEEDS}
attempt = Path(os.environ["TMPDIR"]).parents[1].name
if attempt == "1":
    sys.exit(1)
"""


@dataclass(frozen=True)
class Look:
    """The daemon after ``attempts`` ended attempts."""

    attempts: int
    rss_bytes: int
    open_files: int
    threads: int


@dataclass(frozen=True)
class Growth:
    """One number after the warm-up and at the end."""

    name: str
    before: float
    after: float

    @property
    def share(self) -> float:
        """How much it grew, 0.05 for 5 %."""
        return self.after / self.before - 1


def main() -> int:
    """Work, look, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attempts", type=int, default=200, help="after the warm-up")
    parser.add_argument("--warm-up", type=int, default=60, help="attempts before the first look")
    parser.add_argument("--minutes", type=float, default=20, help="the longest it may take")
    parser.add_argument("--json", action="store_true", help="print all looks as JSON")
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        root = Path(directory)
        with World(root / "world") as world, Installation(root / "host", world) as installation:
            world.server.limits.limit = sys.maxsize  # an hour's requests are spent in minutes here
            looks = soak(installation, wish.warm_up + wish.attempts, wish.minutes * 60)
    growths = judge(looks, wish.warm_up)
    if wish.json:
        print(json.dumps([asdict(look) for look in looks]))
    else:
        report(growths, looks[-1].attempts)
    return 1 if any(growth.share >= MOST_GROWTH for growth in growths) else 0


def soak(installation: Installation, attempts: int, seconds: float) -> list[Look]:
    """Looks at a daemon that works off issue after issue. Raises TimeoutError."""
    installation.configure(
        service={"max_concurrent_runs": REPOSITORIES}, claude_flow={"retry_backoff_seconds": 0}
    )
    repositories = [
        installation.add_repository(f"acme/soak-{number}") for number in range(REPOSITORIES)
    ]
    works = _works()
    daemon = installation.start()
    process = psutil.Process(daemon.pid)
    give_up_at = time.monotonic() + seconds
    asked = {repository: _ask(installation, repository, works) for repository in repositories}
    looks: list[Look] = []
    done = 0
    while done < attempts:
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"{done} of {attempts} attempts in {seconds:.0f} s")
        for repository, issue in asked.items():
            ended = _ended_attempts(daemon, issue)
            if ended:
                done += ended
                asked[repository] = _ask(installation, repository, works)
                looks.append(_look(process, done))
        time.sleep(LOOK_SECONDS)
    daemon.stop()
    return looks


def _works() -> Iterator[str]:
    while True:
        yield SUCCEEDS
        yield FAILS_ONCE


def _ask(installation: Installation, repository: Repository, works: Iterator[str]) -> IssueRef:
    return installation.issue(repository, next(works))


def _ended_attempts(daemon: DaemonProcess, issue: IssueRef) -> int:
    """How many attempts the issue's run took, once it has ended."""
    runs = daemon.runs(issue)
    if not runs or not runs[0]["ended_at"]:
        return 0
    if runs[0]["state"] != "succeeded":
        raise RuntimeError(f"{issue} ended as {runs[0]['reason']}: {runs[0]['detail']}")
    return len(runs[0]["attempts"])


def _look(process: psutil.Process, attempts: int) -> Look:
    with process.oneshot():
        return Look(attempts, process.memory_info().rss, process.num_fds(), process.num_threads())


def judge(looks: Sequence[Look], warm_up: int) -> list[Growth]:
    """Memory and open files: the least after the warm-up and the least of the last attempts."""
    first = [look for look in looks if warm_up <= look.attempts < warm_up + SAMPLE_ATTEMPTS]
    last = [look for look in looks if look.attempts > looks[-1].attempts - SAMPLE_ATTEMPTS]
    return [
        Growth(
            name,
            min(getattr(look, field) / unit for look in first),
            min(getattr(look, field) / unit for look in last),
        )
        for name, field, unit in (
            ("memory, MiB", "rss_bytes", 2**20),
            ("open files", "open_files", 1),
        )
    ]


def report(growths: Sequence[Growth], attempts: int) -> None:
    """Print the table."""
    print(f"{attempts} attempts in a row")
    for growth in growths:
        print(
            f"{growth.name:<12} {growth.before:8.1f} -> {growth.after:8.1f}  {growth.share:+7.1%}"
        )


if __name__ == "__main__":
    sys.exit(main())
