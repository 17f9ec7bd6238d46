"""How long one look at a unit takes, with the answers compared first."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from claude_flow.systemd.manager import SystemdUnits

_UNIT = "systemd-journald.service"  # runs wherever systemd does
_TURNS = 15
_LOOKS_A_TURN = 20
_LEAST_RATIO = 5.0
# What the adapter's state is made of, so that systemctl has no more to do.
_PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,UnitFileState,Result,MainPID,ExecMainStatus,ExecMainCode,"
    "NRestarts,StatusText,ActiveEnterTimestamp"
)


def main() -> int:
    """Measure, print, and leave with 1 below the ratio that is promised."""
    units = SystemdUnits()
    agree(units)
    times = measure(
        {
            "SystemdUnits.state": lambda: units.state(_UNIT),
            "  and .usage": lambda: (units.state(_UNIT), units.usage(_UNIT)),
            "systemctl show -p …": lambda: systemctl(f"--property={_PROPERTIES}"),
            "systemctl show": systemctl,
        }
    )
    # The best of many is what it costs; all above it is what else the machine did.
    ours = min(times["SystemdUnits.state"])
    print(f"{'one look at ' + _UNIT:<40} {'best ms':>8} {'median':>8} {'ratio':>6}")
    for name, seen in times.items():
        best, median = min(seen), statistics.median(seen)
        print(f"{name:<40} {best * 1000:>8.2f} {median * 1000:>8.2f} {best / ours:>6.1f}")
    ratio = min(times["systemctl show -p …"]) / ours
    if ratio < _LEAST_RATIO:
        print(f"only {ratio:.1f} times as fast; {_LEAST_RATIO:g} are promised", file=sys.stderr)
        return 1
    return 0


def agree(units: SystemdUnits) -> None:
    """Both must tell the same, or the measurement compares nothing."""
    state = units.state(_UNIT)
    told = dict(line.split("=", 1) for line in systemctl().splitlines() if "=" in line)
    ours = (state.unit, state.active, state.sub, str(state.main_pid))
    theirs = (told["Id"], told["ActiveState"], told["SubState"], told["MainPID"])
    if ours != theirs:
        raise SystemExit(f"the adapter says {ours}, systemctl {theirs}")


def systemctl(*arguments: str) -> str:
    """What a program without D-Bus does."""
    argv = ["systemctl", "show", _UNIT, *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def measure(contestants: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of every look; in short turns, so that a slow moment of the machine meets all."""
    seen: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(_TURNS):
        for name, look in contestants.items():
            for _ in range(_LOOKS_A_TURN):
                begun = time.perf_counter()
                look()
                seen[name].append(time.perf_counter() - begun)
    return seen


if __name__ == "__main__":
    sys.exit(main())
