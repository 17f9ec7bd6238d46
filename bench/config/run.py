"""Load, get and import of the configuration against its peers, in one run.

The contestants take turns, so that a busy machine slows all alike; medians are shown. Exits
with 1 if one of the project's floors does not hold against pydantic-settings.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.config.contestants import CONTESTANTS, Contestant
from claude_flow.config import config_schema

OVERRIDES = {
    "github.poll_interval_seconds": "15",
    "github.trigger_label": "ready",
    "github.pull_request.draft": "false",
    "service.max_concurrent_runs": "5",
    "service.log_level": "DEBUG",
    "claude_flow.max_turns": "80",
    "claude_flow.timeout_seconds": "1800",
    "execution.tasks_max": "256",
    "monitoring.http_port": "9000",
    "monitoring.metrics_enabled": "true",
}
GETS = 2000


@dataclass(frozen=True)
class Result:
    """Medians: ``load`` and ``import_`` in milliseconds, ``get`` in nanoseconds."""

    name: str
    load: float
    get: float
    import_: float
    scope: str


def main() -> int:
    """Measure, print the table, judge the floors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=51, help="turns per contestant")
    parser.add_argument("--json", action="store_true", help="print JSON")
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.json"
        path.write_text(json.dumps(full_document(), indent=2), encoding="utf-8")
        results = measure([make(path, OVERRIDES) for make in CONTESTANTS], wish.rounds)
    if wish.json:
        print(json.dumps([vars(result) for result in results], indent=2))
    else:
        print_table(results)
    return judge(results)


def full_document() -> dict[str, Any]:
    """A file that sets every setting to its example, but for those that name secret files."""
    document: dict[str, Any] = {}
    for setting in config_schema().settings.values():
        *sections, name = setting.path
        inner = document
        for section in sections:
            inner = inner.setdefault(section, {})
        is_plain = not (setting.is_secret or setting.is_secret_file or sections[1:] == ["app"])
        inner[name] = setting.spec["examples"][0] if is_plain else setting.default
    return document


def measure(contestants: list[Contestant], rounds: int) -> list[Result]:
    """Let the contestants take turns at each of the three jobs."""
    loads = turns(((c.name, c.load) for c in contestants), rounds, number=3)
    getters = {c.name: c.getter(c.load()) for c in contestants}
    gets = turns(getters.items(), rounds, number=GETS)
    bare = "bare"
    statements = {bare: "pass"} | {c.name: c.module for c in contestants}
    imports = turns(
        ((name, importer(statement)) for name, statement in statements.items()), rounds // 3, 1
    )
    return [
        Result(
            c.name,
            loads[c.name] * 1e3,
            gets[c.name] * 1e9,
            (imports[c.name] - imports[bare]) * 1e3,
            c.scope,
        )
        for c in contestants
    ]


def turns(
    jobs: Iterable[tuple[str, Callable[[], object]]], rounds: int, number: int
) -> Mapping[str, float]:
    """The median seconds of each job."""
    named = list(jobs)
    seen: dict[str, list[float]] = {name: [] for name, _ in named}
    for _ in range(rounds):
        for name, job in named:
            seen[name].append(timeit.timeit(job, number=number) / number)
    return {name: statistics.median(times) for name, times in seen.items()}


def importer(statement: str) -> Callable[[], object]:
    """Runs a fresh interpreter that imports."""
    argv = [sys.executable, "-c", statement]
    return lambda: subprocess.run(argv, check=True)


def print_table(results: list[Result]) -> None:
    """One line per contestant."""
    print(f"{'':<18} {'load ms':>8} {'get ns':>8} {'import ms':>10}  includes")
    for r in results:
        print(f"{r.name:<18} {r.load:>8.2f} {r.get:>8.0f} {r.import_:>10.0f}  {r.scope}")


def judge(results: list[Result]) -> int:
    """1 and a line each if this project is slower than pydantic-settings."""
    by_name = {result.name: result for result in results}
    ours, theirs = by_name["claude_flow"], by_name["pydantic-settings"]
    slower = [
        job for job in ("load", "get", "import_") if getattr(ours, job) > getattr(theirs, job)
    ]
    for job in slower:
        print(f"slower than pydantic-settings: {job}", file=sys.stderr)
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
