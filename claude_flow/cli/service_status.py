"""The status of the service, for people."""

from __future__ import annotations

from claude_flow.cli.output import say, say_fields, say_table, say_verdict
from claude_flow.ports import UnitState
from claude_flow.service import MainProcess, Resources, ServiceStatus, Verdict

_MIB = 1024 * 1024
_GIB = 1024 * _MIB
_COLOURS = {
    Verdict.HEALTHY: "green",
    Verdict.UNHEALTHY: "red",
    Verdict.STOPPED: "red",
    Verdict.UNKNOWN: "yellow",
}


def say_status(unit_name: str, found: ServiceStatus) -> None:
    """Print the verdict, then what it stands on, then the journal's end."""
    say_verdict(f"{unit_name}: ", found.verdict, _COLOURS[found.verdict])
    unit = found.unit
    say_fields(
        [
            ("unit", _unit_line(unit) or found.unit_error),
            ("result", unit.result if unit and unit.result != "success" else None),
            ("says", unit.status_text if unit else None),
            ("restarts", unit.restarts if unit and unit.restarts else None),
            ("process", _process_line(found.process)),
            *_resource_lines(found.resources),
            ("http", found.health.address),
            ("version", found.health.version),
            ("health", _with_detail(found.health.status, found.health.detail)),
        ]
    )
    _say_checks(found)
    _say_processes(found)
    _say_journal(found)


def _unit_line(unit: UnitState | None) -> str | None:
    if unit is None:
        return None
    since = unit.active_since if unit.is_active else None
    text = f" since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
    return f"{unit.active} ({unit.sub}){text}, {unit.file or unit.load}"


def _process_line(main: MainProcess | None) -> str | None:
    if main is None:
        return None
    text = f"{main.pid} ({main.name}), up {_duration(main.uptime_seconds)}"
    return f"{text}, {main.children} more" if main.children else text


def _resource_lines(resources: Resources) -> list[tuple[str, object]]:
    storage = (
        f"{_size(resources.read_bytes)} read, {_size(resources.written_bytes)} written"
        if resources.read_bytes is not None and resources.written_bytes is not None
        else None
    )
    return [
        ("memory", _of(_size(resources.memory_bytes), _size(resources.memory_max_bytes))),
        ("oom kills", resources.oom_kills or None),
        ("cpu", _of(_percent(resources.cpu_percent), _percent(resources.cpu_quota_percent))),
        ("cpu time", None if resources.cpu_seconds is None else f"{resources.cpu_seconds:.1f} s"),
        (
            "throttled",
            f"{resources.throttled_seconds:.1f} s" if resources.throttled_seconds else None,
        ),
        ("tasks", _of(resources.tasks, resources.tasks_max)),
        ("open files", resources.open_files),
        ("connections", resources.connections),
        ("storage", storage),
        ("disk", _of(_size(resources.disk_free_bytes), _size(resources.disk_total_bytes), "free")),
    ]


def _say_checks(found: ServiceStatus) -> None:
    for name, results in sorted(found.health.checks.items()):
        for result in results if isinstance(results, list) else [results]:
            if isinstance(result, dict):
                say(f"  {name}: {_with_detail(str(result.get('status')), result.get('output'))}")


def _say_processes(found: ServiceStatus) -> None:
    if len(found.processes) < 2:  # noqa: PLR2004 - one alone has been told above
        return
    say("")
    rows = [
        (
            process.pid,
            process.parent_pid,
            _percent(process.cpu_percent),
            _size(process.memory_bytes),
            process.open_files,
            process.connections,
            process.name,
        )
        for process in found.processes
    ]
    say_table(("PID", "PARENT", "CPU", "MEMORY", "FILES", "CONNECTIONS", "PROGRAM"), rows)


def _say_journal(found: ServiceStatus) -> None:
    if found.journal_error:
        say(f"\njournal: {found.journal_error}")
    if not found.journal:
        return
    say("\njournal:")
    for line in found.journal:
        text = " ".join(line.message.split())
        say(f"  {line.at:%Y-%m-%d %H:%M:%S}  {line.identifier}: {text}")


def _with_detail(status: str, detail: object) -> str:
    return f"{status}: {detail}" if detail else status


def _of(amount: object, most: object, word: str = "") -> str | None:
    if amount is None:
        return None
    text = f"{amount} {word}".rstrip()
    return text if most is None else f"{text} of {most}"


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:g} %"


def _size(value: int | None) -> str | None:
    if value is None:
        return None
    return f"{value / _GIB:.1f} GiB" if value >= 10 * _GIB else f"{value / _MIB:.1f} MiB"


def _duration(seconds: float) -> str:
    minutes, _ = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {int(seconds) % 60} s"
