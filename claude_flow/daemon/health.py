"""Whether the daemon is well: facts it has gathered, and the judgement drawn from them.

Pure values and functions; the JSON is the ``application/health+json`` form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from claude_flow.model.run import to_rfc3339


class HealthStatus(StrEnum):
    """How a part, or the whole, does; ``warn`` still counts as healthy."""

    PASS = "pass"  # noqa: S105 - a word of the health format, not a password
    WARN = "warn"
    FAIL = "fail"


class GitHubStatus(StrEnum):
    """How GitHub took the latest request; ``unknown`` before the first."""

    OK = "ok"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """What the daemon knows of itself, gathered without blocking.

    ``seconds_since_tick`` is monotonic time since the work loop last came round (since the
    start, before the first time) and ``tick_limit_seconds`` how long that may take. The
    ``…_fault`` texts say what is wrong, without secrets; None is fine. ``github_fault`` beside
    ``ok`` is the trouble of single repositories. ``disk_free_bytes`` is None where it was not
    measured. ``held`` are the repositories whose issues are not taken for now, and why.
    """

    at: datetime
    version: str
    seconds_since_tick: float
    tick_limit_seconds: float
    database_fault: str | None = None
    github: GitHubStatus = GitHubStatus.UNKNOWN
    github_fault: str | None = None
    configuration_fault: str | None = None
    disk_free_bytes: int | None = None
    disk_fault: str | None = None
    held: Mapping[str, str] = field(default_factory=dict)
    is_stopping: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One part's health. ``output`` says what is wrong and what to do, None if nothing is."""

    name: str
    component_type: str
    status: HealthStatus
    at: datetime
    observed_value: float | str | None = None
    observed_unit: str | None = None
    output: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The check in the health format; what is not known is left out."""
        found = {
            "componentType": self.component_type,
            "status": self.status,
            "time": to_rfc3339(self.at),
            "observedValue": self.observed_value,
            "observedUnit": self.observed_unit,
            "output": self.output,
        }
        return {key: value for key, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Health:
    """The judgement: ``status`` is the worst of the checks."""

    version: str
    checks: tuple[Check, ...]
    is_live: bool
    is_ready: bool

    @property
    def status(self) -> HealthStatus:
        """``fail`` if any check fails, else ``warn`` if any warns, else ``pass``."""
        found = {check.status for check in self.checks}
        for status in (HealthStatus.FAIL, HealthStatus.WARN):
            if status in found:
                return status
        return HealthStatus.PASS

    def to_json(self) -> dict[str, Any]:
        """The contract's answer of ``GET /health``."""
        return {
            "status": self.status,
            "version": self.version,
            "checks": {check.name: [check.to_json()] for check in self.checks},
        }


def assess(facts: HealthFacts) -> Health:
    """Judge the facts.

    Live: the loop came round lately. Ready: live, not stopping, and database and GitHub can be
    used (a refused reload leaves the last good configuration in force, so it only warns).
    """
    loop, database, github = _loop(facts), _database(facts), _github(facts)
    is_live = loop.status is HealthStatus.PASS
    is_usable = database.status is HealthStatus.PASS and facts.github is GitHubStatus.OK
    return Health(
        version=facts.version,
        checks=(loop, database, github, _configuration(facts), _disk(facts), _intake(facts)),
        is_live=is_live,
        is_ready=is_live and is_usable and not facts.is_stopping,
    )


def _loop(facts: HealthFacts) -> Check:
    is_late = facts.seconds_since_tick > facts.tick_limit_seconds
    return Check(
        name="loop:lastTick",
        component_type="component",
        status=HealthStatus.FAIL if is_late else HealthStatus.PASS,
        at=facts.at,
        observed_value=round(facts.seconds_since_tick, 3),
        observed_unit="s",
        output=(
            f"the work loop has not come round for {facts.seconds_since_tick:.0f} s "
            f"(limit {facts.tick_limit_seconds:.0f} s); if it stays so, restart the service "
            "and keep its journal"
        )
        if is_late
        else None,
    )


def _database(facts: HealthFacts) -> Check:
    return Check(
        name="database:connection",
        component_type="datastore",
        status=HealthStatus.FAIL if facts.database_fault else HealthStatus.PASS,
        at=facts.at,
        output=facts.database_fault,
    )


_GITHUB_STATUS = {
    GitHubStatus.OK: HealthStatus.PASS,
    # Nothing moves until somebody gives a new token, so this is worth waking somebody.
    GitHubStatus.REFUSED: HealthStatus.FAIL,
    # It comes back by itself, and the daemon waits for it.
    GitHubStatus.UNREACHABLE: HealthStatus.WARN,
    GitHubStatus.UNKNOWN: HealthStatus.WARN,
}
_GITHUB_OUTPUT = {
    GitHubStatus.OK: None,
    GitHubStatus.REFUSED: "GitHub refused the token; give the service a valid one",
    GitHubStatus.UNREACHABLE: "GitHub is out of reach; the service waits and tries again",
    GitHubStatus.UNKNOWN: "GitHub has not been asked yet",
}


def _github(facts: HealthFacts) -> Check:
    status, output = _GITHUB_STATUS[facts.github], _GITHUB_OUTPUT[facts.github]
    if facts.github_fault:
        # With an `ok` it is one repository's trouble; the others go on.
        status = HealthStatus.WARN if status is HealthStatus.PASS else status
        output = f"{output or 'GitHub answers, but not everywhere'}: {facts.github_fault}"
    return Check(
        name="github:api",
        component_type="system",
        status=status,
        at=facts.at,
        observed_value=facts.github,
        output=output,
    )


def _configuration(facts: HealthFacts) -> Check:
    fault = facts.configuration_fault
    return Check(
        name="configuration:reload",
        component_type="component",
        status=HealthStatus.WARN if fault else HealthStatus.PASS,
        at=facts.at,
        output=f"the last good configuration stays in force: {fault}" if fault else None,
    )


def _disk(facts: HealthFacts) -> Check:
    return Check(
        name="disk:free",
        component_type="system",
        status=HealthStatus.WARN if facts.disk_fault else HealthStatus.PASS,
        at=facts.at,
        observed_value=facts.disk_free_bytes,
        observed_unit=None if facts.disk_free_bytes is None else "B",
        output=f"no new run starts until there is more space: {facts.disk_fault}"
        if facts.disk_fault
        else None,
    )


def _intake(facts: HealthFacts) -> Check:
    held = [f"{repository}: {why}" for repository, why in sorted(facts.held.items())]
    return Check(
        name="repositories:held",
        component_type="component",
        status=HealthStatus.WARN if held else HealthStatus.PASS,
        at=facts.at,
        observed_value=len(held),
        output="; ".join(held) or None,
    )
