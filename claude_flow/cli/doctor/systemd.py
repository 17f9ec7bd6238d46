"""The unit of the service, its attempts' units, and what the daemon says of itself."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator

from claude_flow.cli.doctor.finding import Finding, Grade, told
from claude_flow.config import ConfigManager
from claude_flow.execution.unit_limits import (
    LIMITS_HINT,
    TEMPLATE_PROBE,
    UnitLimits,
    differing,
)
from claude_flow.ports import UnitState, UnitUsage
from claude_flow.service import ServiceStatus, Verdict
from claude_flow.settings import unit_limits
from claude_flow.systemd.manager import SystemdUnits
from claude_flow.systemd.polkit import may_manage_as, may_manage_myself

_SERVICE_USER = "claude-flow"


def check(config: ConfigManager, status: ServiceStatus) -> Iterator[Finding]:
    """Judge the status; for attempts as units, also whether the daemon may start them."""
    yield from judge_unit(status.unit, status.unit_error, config.get("systemd.unit"))
    if config.get("execution.backend") == "systemd" and status.unit is not None:
        wanted = unit_limits(config)
        yield from told("attempts", lambda: _attempts(status.unit, wanted))
    yield judge_health(status)


def _attempts(unit: UnitState | None, wanted: UnitLimits) -> Iterator[Finding]:
    template = SystemdUnits().state(TEMPLATE_PROBE)
    if template.load != "loaded":
        yield judge_template(template)
        return
    who, may = _right(unit)
    yield judge_right(who, may=may)
    yield judge_limits(wanted, SystemdUnits().usage(TEMPLATE_PROBE))


def _right(unit: UnitState | None) -> tuple[str, bool | None]:
    """Who would start attempts, and whether they may; None where nobody here can tell."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    if user == _SERVICE_USER:
        return user, may_manage_myself(TEMPLATE_PROBE)
    if os.geteuid() != 0 or unit is None or unit.main_pid is None:
        return user, None
    return "the service", may_manage_as(unit.main_pid, TEMPLATE_PROBE)


def judge_template(template: UnitState) -> Finding:
    """The template that attempts are started from is missing or broken."""
    return Finding(
        "attempts",
        Grade.FAIL,
        f"attempts cannot be started: claude-flow-run@.service is {template.load}",
        "deploy it with the playbook, or set execution.backend to local",
    )


def judge_right(who: str, *, may: bool | None) -> Finding:
    """Whether polkit lets the daemon start and stop its attempts' units."""
    if may is None:
        text = "whether the service may start its attempts' units was not asked"
        return Finding("attempts", Grade.WARN, text, "start the service and run this with sudo")
    if not may:
        return Finding(
            "attempts",
            Grade.FAIL,
            f"polkit does not let {who} start attempts: claude-flow-run@….service",
            "deploy the polkit rule with the playbook; polkitd must run",
        )
    return Finding("attempts", Grade.FINE, f"{who} may start claude-flow-run@….service")


def judge_limits(wanted: UnitLimits, unit: UnitUsage) -> Finding:
    """Whether attempts are limited as the configuration says."""
    found = differing(wanted, unit)
    if found:
        return Finding("limits", Grade.WARN, "; ".join(found), LIMITS_HINT)
    return Finding("limits", Grade.FINE, "attempts are limited as execution.* says")


def judge_unit(unit: UnitState | None, error: str | None, name: str) -> Iterator[Finding]:
    """Whether systemd keeps the service alive."""
    if unit is None:
        text = error or "systemd could not be asked"
        yield Finding("systemd", Grade.WARN, text, "without systemd nothing restarts the daemon")
        return
    if unit.load == "not-found":
        text = f"there is no unit {name}"
        yield Finding("systemd", Grade.FAIL, text, "deploy it with the playbook")
        return
    text = f"{unit.unit} is {unit.active} ({unit.sub}), {unit.file}"
    if not unit.is_active:
        hint = "start it with: claude-flowctl start"
        if unit.active == "failed":
            text += f", {unit.result}, exit status {unit.exit_status}"
            hint = "see why with: claude-flowctl logs"
        yield Finding("systemd", Grade.FAIL, text, hint)
    elif unit.file != "enabled":
        hint = "it does not start at boot; mend it with: claude-flowctl enable"
        yield Finding("systemd", Grade.WARN, text, hint)
    elif unit.restarts:
        text += f", restarted by itself {unit.restarts} times since its start by hand"
        yield Finding("systemd", Grade.WARN, text, "see why with: claude-flowctl logs")
    else:
        yield Finding("systemd", Grade.FINE, text)


def judge_health(status: ServiceStatus) -> Finding:
    """The daemon's own word."""
    health = status.health
    text = f"{health.status} at {health.address}" if health.address else health.status
    said = [
        f"{name}: {result['output']}"
        for name, results in sorted(health.checks.items())
        for result in (results if isinstance(results, list) else [results])
        if isinstance(result, dict) and result.get("status") != "pass" and result.get("output")
    ]
    text = "; ".join([text, *said, *([health.detail] if health.detail else [])])
    if status.verdict is Verdict.HEALTHY:
        return Finding("health", Grade.WARN if health.status == "warn" else Grade.FINE, text)
    return Finding("health", Grade.FAIL, text, "see what it says with: claude-flowctl logs")
