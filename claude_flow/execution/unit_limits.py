"""Whether attempts' units are limited as the configuration says.

The service may start such a unit, but not change its properties: what it may lift is no limit.
The role writes them into the unit's template.
"""

from __future__ import annotations

from dataclasses import dataclass

from claude_flow.execution.unit_files import PREFIX, SUFFIX
from claude_flow.ports import UnitUsage

TEMPLATE_PROBE = f"{PREFIX}probe-0{SUFFIX}"
"""An instance of the template that no run can have, to ask systemd about."""

LIMITS_HINT = "run the playbook: it writes execution.* of the configuration into the unit"


@dataclass(frozen=True, slots=True)
class UnitLimits:
    """What an attempt may use; see ``execution.*`` of the configuration."""

    memory_max_bytes: int
    cpu_quota_percent: int
    tasks_max: int


def differing(wanted: UnitLimits, unit: UnitUsage) -> list[str]:
    """In what the unit's limits are not the wanted ones, a phrase each."""
    pairs = (
        ("memory_max_bytes", wanted.memory_max_bytes, unit.memory_max_bytes),
        ("cpu_quota_percent", wanted.cpu_quota_percent, unit.cpu_quota_percent),
        ("tasks_max", wanted.tasks_max, unit.tasks_max),
    )
    return [
        f"execution.{name} is {configured}, the unit has {'no limit' if has is None else int(has)}"
        for name, configured, has in pairs
        if has != configured
    ]
