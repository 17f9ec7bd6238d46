"""The proxy that the service itself goes out through, where its environment names one."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # it is there

VARIABLE = "CLAUDE_FLOW_FORWARD_PROXY"
"""By which ``claude-flow-run`` learns of it, and no agent: an address may hold a password."""

_USUAL_PORT = 80


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """Where a proxy is; ``authorization`` is the value of its header, a secret."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ForwardProxy:
    """The addresses by what is asked for, and what is reached without: as programs know them.

    ``plain`` is HTTP_PROXY, ``tunnel`` HTTPS_PROXY, ``direct`` NO_PROXY.
    """

    plain: str | None = field(default=None, repr=False)
    tunnel: str | None = field(default=None, repr=False)
    direct: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """From variables in small letters, else in capitals."""

        def named(name: str) -> str | None:
            return environ.get(name) or environ.get(name.upper()) or None

        return cls(named("http_proxy"), named("https_proxy"), named("no_proxy") or "")

    def to_environment(self) -> Mapping[str, str]:
        """What ``from_environment`` reads; empty if there is none."""
        return {VARIABLE: json.dumps(asdict(self))} if self.plain or self.tunnel else {}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """What ``to_environment`` wrote."""
        return cls(**json.loads(environ.get(VARIABLE, "{}")))

    def towards(self, host: str, *, is_tunnel: bool) -> ProxyAddress | None:
        """The proxy on the way to a host; None: there is none.

        Raises ValueError if its address is none of HTTP; the text has no secret.
        """
        address = self.tunnel if is_tunnel else self.plain
        if address is None or proxy_bypass_environment(host, {"no": self.direct}):
            return None
        parts = urlsplit(address if "://" in address else f"http://{address}")
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError("the service's own proxy is not named as http://host:port")
        return ProxyAddress(parts.hostname, parts.port or _USUAL_PORT, _basic(parts.netloc))


def _basic(netloc: str) -> str | None:
    credentials, at, _ = netloc.rpartition("@")
    if not at:
        return None
    user, _, password = credentials.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
