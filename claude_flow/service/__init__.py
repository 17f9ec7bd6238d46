"""The daemon as a service of this host: start, stop, status."""

from __future__ import annotations

from claude_flow.service.manager import ServiceManager
from claude_flow.service.status import MainProcess, Resources, ServiceStatus, Verdict

__all__ = ["MainProcess", "Resources", "ServiceManager", "ServiceStatus", "Verdict"]
