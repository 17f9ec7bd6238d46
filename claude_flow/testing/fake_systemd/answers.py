"""The names and errors of systemd's manager on the bus."""

from __future__ import annotations

from sdbus.exceptions import DbusFailedError

ROOT = "/org/freedesktop/systemd1"
NAME = "org.freedesktop.systemd1"


class NoSuchUnitError(DbusFailedError):
    """The unit is not in memory: nothing runs of it and nothing is left to tell."""

    dbus_error_name = f"{NAME}.NoSuchUnit"


class NotApplicableError(DbusFailedError):
    """The job makes no sense for the unit as it is."""

    dbus_error_name = f"{NAME}.JobTypeNotApplicable"
