"""Which hosts an attempt may reach: a pure judgement over names, ports and addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Self

Address = IPv4Address | IPv6Address

TUNNEL_PORT = 443
"""Where a tunnel (CONNECT) may lead to a host that is listed without a port."""
PLAIN_PORT = 80
"""Likewise for a request that the proxy itself passes on."""

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.ASCII)
_ENTRY = re.compile(
    r"(?P<domain>\*\.)?(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:(?P<port>[0-9]+))?",
    re.ASCII | re.IGNORECASE,
)
_HIGHEST_PORT = 65535
# Where clouds tell a machine its own credentials, as far as that is no link-local address.
_METADATA = frozenset(
    map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
) | {ip_address("fd20:ce::254")}
_THIS_HOST = IPv4Network("0.0.0.0/8")
_TRANSLATED = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class HostEntry:
    """One entry of the list: a host, or with ``is_domain`` all names below it but not itself.

    ``port`` None means the usual ones. ``host`` is in lower case, an address in its short form.
    """

    host: str
    port: int | None = None
    is_domain: bool = False

    @classmethod
    def of(cls, text: str) -> Self:
        """From ``example.org``, ``*.example.org``, ``example.org:8443``, ``192.0.2.1``, ``[::1]``.

        Raises ValueError for anything else.
        """
        found = _ENTRY.fullmatch(text)
        host = "" if found is None else canonical(found["host"])
        if (
            found is None
            or (found["domain"] and is_address(host))
            or not (is_address(host) or _is_name(host))
        ):
            raise ValueError(f"{text!r} is no host, host:port or *.domain")
        port = None if found["port"] is None else int(found["port"])
        if port is not None and not 0 < port <= _HIGHEST_PORT:
            raise ValueError(f"{text!r}: there is no port {port}")
        return cls(host, port, is_domain=found["domain"] is not None)

    def names(self, host: str, port: int, *, is_tunnel: bool) -> bool:
        """Whether it is about this port of this host, which is ``canonical``."""
        if self.port is None:
            if port != (TUNNEL_PORT if is_tunnel else PLAIN_PORT):
                return False
        elif port != self.port:
            return False
        if not self.is_domain:
            return host == self.host
        return host.endswith(f".{self.host}") and _is_name(host) and not is_address(host)

    def admits(self, address: str) -> bool:
        """Whether a host that it names may be at this address.

        Link-local addresses never are, nor those where clouds tell credentials: whoever
        answers for a name could have it lead there. This host's loopback only is one for whoever
        lists it as such, and for a domain only public addresses are.
        """
        found = _meant(ip_address(address))
        if _is_never_reached(found):
            return False
        if self.is_domain:
            return found.is_global
        return not found.is_loopback or self.is_loopback

    @property
    def is_loopback(self) -> bool:
        """Whether it lists this host's loopback itself, by address or as localhost."""
        address = _as_address(self.host)
        if address is None:
            return not self.is_domain and self.host.rpartition(".")[2] == "localhost"
        return _meant(address).is_loopback


@dataclass(frozen=True, slots=True)
class HostList:
    """The hosts that an attempt may reach."""

    entries: tuple[HostEntry, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """From texts of the setting's form. Raises ValueError."""
        return cls(tuple(dict.fromkeys(map(HostEntry.of, texts))))

    def require_reachable(self) -> None:
        """Raise ValueError if an address is listed that is reached by nobody."""
        for entry in self.entries:
            if is_address(entry.host) and not entry.admits(entry.host):
                raise ValueError(
                    f"{entry.host!r} is never reached: link-local addresses and those where "
                    "clouds keep credentials are not, nor those of no single host"
                )

    def naming(self, host: str, port: int, *, is_tunnel: bool) -> tuple[HostEntry, ...]:
        """The entries about this port of this host; none if it is not listed."""
        wanted = canonical(host)
        return tuple(e for e in self.entries if e.names(wanted, port, is_tunnel=is_tunnel))


def admitted(entries: Iterable[HostEntry], addresses: Iterable[str]) -> list[str]:
    """Those of a host's addresses that an entry which names it admits, in their order."""
    entries = tuple(entries)
    return [
        address
        for address in dict.fromkeys(addresses)
        if any(entry.admits(address) for entry in entries)
    ]


def canonical(host: str) -> str:
    """A host's name as it is compared: one spelling for names, and for addresses."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    address = _as_address(bare)
    return str(address) if address is not None else bare.removesuffix(".").lower()


def is_address(host: str) -> bool:
    """Whether a ``canonical`` host is an address and no name."""
    return _as_address(host) is not None


def _is_name(host: str) -> bool:
    return _NAME.fullmatch(host) is not None


def _as_address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _meant(address: Address) -> Address:
    """Where it leads in the end: some IPv6 addresses only wrap one of IPv4."""
    if isinstance(address, IPv6Address):
        if address in _TRANSLATED:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _is_never_reached(address: Address) -> bool:
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or (address.is_reserved and not address.is_loopback)
        or address in _METADATA
        or (isinstance(address, IPv4Address) and address in _THIS_HOST)
    )
