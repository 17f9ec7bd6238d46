"""How long a host that shares its database may work on without being heard by the others."""

from __future__ import annotations

# An attempt looks at its lease every second and is then killed at once; what SIGKILL does not
# end sits in the kernel, and is told.
_END_SECONDS = 10.0
# Two hosts' clocks run at unlike speeds, and a busy host is late.
_LATENESS = 0.1


def lease_seconds(host_timeout_seconds: float) -> float:
    """How long after its last beat was sent a host's attempts may run, in seconds.

    Others take its work ``host_timeout_seconds`` after they saw that beat, thus later than it
    was sent: by then the attempts that the lease ended are gone.
    """
    return max(0.0, host_timeout_seconds * (1 - _LATENESS) - _END_SECONDS)
