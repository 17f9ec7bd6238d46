"""Whether polkit lets somebody manage a unit, without managing it: polkit(8)."""

from __future__ import annotations

from sdbus import sd_bus_open_system
from sdbus.exceptions import DbusAccessDeniedError, DbusInteractiveAuthorizationRequiredError

from claude_flow.systemd.bus import NAME, OpenBus, connect, unit_path

_POLKIT = "org.freedesktop.PolicyKit1"
_MANAGE_UNITS = "org.freedesktop.systemd1.manage-units"
_NOT_INTERACTIVE = 0


def may_manage_myself(unit: str, *, open_bus: OpenBus = sd_bus_open_system) -> bool:
    """Whether this process may start and stop a unit that does not run.

    To forget a failure needs the same right, and there is none to forget. Raises ServiceError.
    """
    with connect(f"ask for the right to manage {unit}", open_bus=open_bus) as bus:
        try:
            bus.call(unit_path(unit), f"{NAME}.Unit", "ResetFailed")
        except (DbusAccessDeniedError, DbusInteractiveAuthorizationRequiredError):
            return False
    return True


def may_manage_as(pid: int, unit: str, *, open_bus: OpenBus = sd_bus_open_system) -> bool:
    """Whether the process ``pid`` may start a unit. Only root may ask. Raises ServiceError."""
    # polkit looks the start time up itself where it is 0.
    subject = ("unix-process", {"pid": ("u", pid), "start-time": ("t", 0)})
    details = {"unit": unit, "verb": "start"}
    with connect(f"ask polkit about {unit}", open_bus=open_bus) as bus:
        is_authorized, _is_challenge, _details = bus.call(
            "/org/freedesktop/PolicyKit1/Authority",
            f"{_POLKIT}.Authority",
            "CheckAuthorization",
            "(sa{sv})sa{ss}us",
            subject,
            _MANAGE_UNITS,
            details,
            _NOT_INTERACTIVE,
            "",
            destination=_POLKIT,
        )
    return bool(is_authorized)
