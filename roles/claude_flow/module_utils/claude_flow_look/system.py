"""Which system this is, and what it has installed."""

from __future__ import annotations

from .reading import said


def os_release(text: str) -> dict[str, str]:
    """Which system it is, by os-release(5)."""
    pairs = (line.partition("=") for line in text.splitlines())
    values = {name: value.strip("\"'") for name, equals, value in pairs if equals}
    return {
        "id": values.get("ID", ""),
        "version": values.get("VERSION_ID", ""),
        "name": values.get("PRETTY_NAME", ""),
    }


def systemd_version(said: str) -> int | None:
    """The number in ``systemctl --version``."""
    words = said.split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else None


def missing_packages(names: list[str]) -> list[str]:
    """Those that dpkg does not call installed."""
    if not names:
        return []
    listed = said("dpkg-query", "-W", "-f=${db:Status-Abbrev} ${Package}\n", *names)
    there = {line.split()[-1] for line in listed.splitlines() if line.startswith("ii")}
    return [name for name in names if name not in there]
