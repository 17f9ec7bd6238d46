"""A stand-in for systemd's manager on a bus of its own, for hosts where systemd is not PID 1.

It answers org.freedesktop.systemd1 for the units it is given and really runs their commands:
a start waits for READY=1, a reload sends SIGHUP, a stop SIGTERM. Programs reach it through
DBUS_SYSTEM_BUS_ADDRESS::

    python -m claude_flow.testing.fake_systemd --unit demo.service='["sleep", "60"]'
"""
