"""What the hosts of a play must agree on, and what each must reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from typing import Any
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432}
_LOOPBACK = ("localhost", "127.*", "::1", "[[]::1]")


def shared_work(
    host: str, watched: Mapping[str, Iterable[str]], databases: Mapping[str, str]
) -> list[str]:
    """Repositories that several hosts would work on without knowing of one another.

    ``watched`` and ``databases`` are by host: the repositories, and the address of the engine's
    database, which is secret and empty for a database of the host's own.
    """
    found = []
    for other in sorted(set(watched) - {host}):
        if databases.get(host) and databases.get(host) == databases.get(other):
            continue
        both = sorted(set(watched[host]) & set(watched[other]))
        if both:
            found.append(
                f"github.repositories: {', '.join(both)} would be worked on by {host} and "
                f"{other}, each with a database of its own, so issues would be worked on twice; "
                "give both the same claude_flow_database_url, or each repositories of its own"
            )
    return found


def endpoints(
    effective: Mapping[str, Any], database_url: str, proxy: str, no_proxy: Iterable[str]
) -> list[dict[str, Any]]:
    """Name, host and port of what the service connects to, for a look before it is installed.

    The loopback is left out: what is there may well start later.
    """
    found = []
    for setting, url, by_proxy in _addresses(effective, database_url):
        name, (host, port) = setting, _place(url)
        if by_proxy and proxy and not _is_excepted(host, no_proxy):
            name, (host, port) = "claude_flow_proxy", _place(proxy)
        if host and not any(fnmatch(host, pattern) for pattern in _LOOPBACK):
            found.append({"name": name, "host": host, "port": port})
    return [item for index, item in enumerate(found) if item not in found[:index]]


def _addresses(effective: Mapping[str, Any], database_url: str) -> Iterator[tuple[str, str, bool]]:
    yield "github.api_url", effective["github"]["api_url"], True
    yield "github.git_base_url", effective["github"]["git_base_url"], True
    if database_url:
        yield "claude_flow_database_url", database_url, False


def _place(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", 0  # the service judges it, where nobody sees its password
    scheme = parts.scheme.partition("+")[0]
    return parts.hostname or "", port or _PORTS.get(scheme, 443)


def _is_excepted(host: str, no_proxy: Iterable[str]) -> bool:
    return any(
        host == name or host.endswith("." + name.lstrip(".")) or name == "*" for name in no_proxy
    )
