"""How long a service that keeps ending waits before it starts again."""

from __future__ import annotations

import math

_FIRST_SECONDS = 2.0
"""What systemd itself waits before every restart: RestartSec= of the unit."""
_LONGEST_SECONDS = 60.0
_DOUBLINGS_TO_LONGEST = 5


def restart_pause(restarts: int) -> float:
    """Seconds to wait beyond systemd's own two, after so many restarts in a row.

    With them it is 2, 4, 8, 16, 32 and then 60, as RestartSteps=5 and RestartMaxDelaySec=60
    would have it from systemd 254 on.
    """
    doublings = min(max(restarts - 1, 0), _DOUBLINGS_TO_LONGEST)
    return min(math.ldexp(_FIRST_SECONDS, doublings), _LONGEST_SECONDS) - _FIRST_SECONDS
