"""A client of the daemon's HTTP side, over loopback and nothing else."""

from __future__ import annotations

import http.client
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from claude_flow.errors import ServiceError, UsageError

_TIMEOUT_SECONDS = 2.0
_MOST_BYTES = 16 * 1024 * 1024
_FAIL_STATUS = 503
_NOT_FOUND = 404


class DaemonUnreachableError(ServiceError):
    """No daemon answers; ``is_refused`` says that nothing listens at its address."""

    def __init__(self, message: str, *, is_refused: bool, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.is_refused = is_refused


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status and the JSON that came with it."""

    status: int
    body: Any


class DaemonClient:
    """Talks to the daemon at ``address``, a loopback ``host:port``.

    No proxy is asked and no redirect followed. Raises ServiceError for another address and
    DaemonUnreachableError where nobody answers within two seconds.
    """

    def __init__(self, address: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        host, _, port = address.rpartition(":")
        self.address = address
        self._host = host.strip("[]")
        self._timeout_seconds = timeout_seconds
        if not port.isdecimal() or not _is_loopback(self._host):
            raise ServiceError(
                f"{address!r} is not a loopback address with a port",
                hint="set monitoring.http_host to 127.0.0.1",
            )
        self._port = int(port)

    def health(self) -> Mapping[str, Any]:
        """The answer of ``GET /health``, whether the daemon is well or not."""
        answer = self._request("GET", "/health")
        status = answer.body.get("status") if isinstance(answer.body, dict) else None
        if status not in {"pass", "warn", "fail"}:
            raise DaemonUnreachableError(
                f"what answers at {self.address} is not claude-flow (HTTP {answer.status})",
                is_refused=False,
                hint="another program may hold the port; see monitoring.http_port",
            )
        body: dict[str, Any] = answer.body
        return body | {"status": "fail"} if answer.status == _FAIL_STATUS else body

    def runs(self, *, state: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
        """Runs as the contract's JSON, newest first."""
        query = {"state": state, "limit": limit}
        named = {name: value for name, value in query.items() if value is not None}
        path = "/api/v1/runs" + (f"?{urlencode(named)}" if named else "")
        runs: list[dict[str, Any]] = self._fine("GET", path)["runs"]
        return runs

    def usage(self, *, by: str, since: str) -> dict[str, Any]:
        """What agents used since a day, as the contract's JSON."""
        path = f"/api/v1/usage?{urlencode({'by': by, 'since': since})}"
        usage: dict[str, Any] = self._fine("GET", path)
        return usage

    def run(self, run_id: str) -> dict[str, Any]:
        """One run. Raises UsageError for an unknown id."""
        run: dict[str, Any] = self._fine("GET", f"/api/v1/runs/{quote(run_id, safe='')}")
        return run

    def cancel(self, run_id: str, *, token: str) -> None:
        """Ask for a run's end. Raises UsageError for an unknown id."""
        self._fine("POST", f"/api/v1/runs/{quote(run_id, safe='')}/cancel", token)

    def retry(self, run_id: str, *, token: str) -> dict[str, Any]:
        """Ask for the same work again; the answer. Raises UsageError for an unknown id."""
        answer = self._fine("POST", f"/api/v1/runs/{quote(run_id, safe='')}/retry", token)
        return answer if isinstance(answer, dict) else {}

    def submit(self, issue: str, *, token: str) -> dict[str, Any]:
        """Ask for a run on ``owner/name#7``; the run."""
        run: dict[str, Any] = self._fine("POST", "/api/v1/runs", token, {"issue": issue})
        return run

    def _fine(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        answer = self._request(method, path, token, body)
        if answer.status < http.client.BAD_REQUEST:
            return answer.body
        error = answer.body.get("error", {}) if isinstance(answer.body, dict) else {}
        message = error.get("message") or f"HTTP {answer.status}"
        if answer.status == _NOT_FOUND:
            raise UsageError(str(message), hint="see: claude-flowctl runs list")
        raise ServiceError(f"the daemon refused: {message}")

    def _request(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection(
            self._host, self._port, timeout=self._timeout_seconds
        )
        headers = {"Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            text = response.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise DaemonUnreachableError(
                f"no daemon answers at {self.address}: {_reason(error)}",
                is_refused=isinstance(error, ConnectionRefusedError),
                hint="start it with: claude-flowctl start",
            ) from error
        finally:
            connection.close()
        try:
            return Answer(response.status, json.loads(text) if text.strip() else None)
        except ValueError:
            return Answer(response.status, None)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _reason(error: OSError | http.client.HTTPException) -> str:
    words = error.strerror if isinstance(error, OSError) else None
    return words or str(error) or type(error).__name__
