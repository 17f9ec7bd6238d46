"""The daemon as a service of this host: start, stop, status."""

from __future__ import annotations

from claude_flow.service.manager import ServiceManager
from claude_flow.service.status import ServiceStatus, Verdict

__all__ = ["ServiceManager", "ServiceStatus", "Verdict"]
