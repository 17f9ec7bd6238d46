"""Debian hosts with a real systemd, for the tests of the role: ``python -m tools.targets``."""
