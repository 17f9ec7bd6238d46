"""Scripted misbehaviour of the stand-in GitHub."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["answer", "drop", "delay", "drip"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault for the next ``times`` requests that match.

    ``answer`` sends ``status`` and ``body``; ``drop`` cuts the connection without an answer;
    ``delay`` waits ``seconds`` before the real answer; ``drip`` sends the real answer byte by
    byte with ``seconds`` between. ``after`` lets the request take effect first, so that only
    its answer is lost (for ``answer`` and ``drop``).
    """

    kind: Kind
    times: int = 1
    status: int = 500
    body: str = '{"message": "Server Error"}'
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    method: str | None = None
    path: str = ""
    after: bool = False

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is meant: by its method, if given, and a part of its path."""
        return self.method in {None, method} and self.path in path


class Faults:
    """The faults still to come, first given first served; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Plan a fault."""
        with self._lock:
            self._waiting.append(fault)

    def fail(
        self, status: int, *, times: int = 1, method: str | None = None, path: str = ""
    ) -> None:
        """Answer the next requests with ``status``."""
        self.add(Fault("answer", times, status=status, method=method, path=path))

    def drop(
        self, *, times: int = 1, method: str | None = None, path: str = "", after: bool = False
    ) -> None:
        """Cut the connection of the next requests."""
        self.add(Fault("drop", times, method=method, path=path, after=after))

    def delay(self, seconds: float, *, times: int = 1, path: str = "") -> None:
        """Answer the next requests late."""
        self.add(Fault("delay", times, seconds=seconds, path=path))

    def drip(self, seconds: float, *, times: int = 1, path: str = "") -> None:
        """Answer the next requests byte by byte, ``seconds`` between."""
        self.add(Fault("drip", times, seconds=seconds, path=path))

    def secondary_limit(self, retry_after_seconds: int, *, times: int = 1, path: str = "") -> None:
        """Answer as GitHub does to a client that is too fast."""
        self.add(
            Fault(
                "answer",
                times,
                status=403,
                body='{"message": "You have exceeded a secondary rate limit. Please wait a few '
                'minutes before you try again.", "documentation_url": "https://docs.github.com/'
                'rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits"}',
                headers={"Retry-After": str(retry_after_seconds)},
                path=path,
            )
        )

    def clear(self) -> None:
        """Forget what has not come yet."""
        with self._lock:
            self._waiting.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of this request, if any; counts it."""
        with self._lock:
            for index, fault in enumerate(self._waiting):
                if fault.matches(method, path):
                    if fault.times > 1:
                        self._waiting[index] = replace(fault, times=fault.times - 1)
                    else:
                        del self._waiting[index]
                    return fault
            return None
