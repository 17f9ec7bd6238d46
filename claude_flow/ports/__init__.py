"""What the workflow, the triggers and the service need from outside things.

Each Protocol has one adapter (its door) and one fake in ``claude_flow.testing``; both pass the
same contract suite. Only values of ``claude_flow.model`` and plain types cross these lines.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from claude_flow.ports.agents import (
    AGENT_PART,
    Agent,
    AgentCommand,
    AgentOutput,
    AgentSession,
    AgentTask,
    Excerpt,
    Execution,
    Limits,
    ProcessEnded,
    Progress,
    Shell,
    Stop,
    Verdict,
)
from claude_flow.ports.brakes import Brakes
from claude_flow.ports.engine import AttemptWorkflow, Engine, Steps
from claude_flow.ports.github import (
    Access,
    Comment,
    Gate,
    GitHub,
    LabelEvent,
    PullRequest,
    RateLimit,
    Refusal,
    RepositoryInfo,
    TextEdit,
)
from claude_flow.ports.lease import HostLease
from claude_flow.ports.processes import Completed, Processes
from claude_flow.ports.storage import Storage, StoredMirror, StoredRun
from claude_flow.ports.systemd import (
    AttemptUnits,
    Journal,
    JournalLine,
    ServiceUnits,
    UnitState,
    UnitUsage,
)
from claude_flow.ports.workspaces import AgentPlaces, Changes, Release, Workspace, Workspaces

Clock = Callable[[], datetime]
"""The wall clock, aware and in UTC. For durations use a monotonic one."""

__all__ = [
    "AGENT_PART",
    "Access",
    "Agent",
    "AgentCommand",
    "AgentOutput",
    "AgentPlaces",
    "AgentSession",
    "AgentTask",
    "AttemptUnits",
    "AttemptWorkflow",
    "Brakes",
    "Changes",
    "Clock",
    "Comment",
    "Completed",
    "Engine",
    "Excerpt",
    "Execution",
    "Gate",
    "GitHub",
    "HostLease",
    "Journal",
    "JournalLine",
    "LabelEvent",
    "Limits",
    "ProcessEnded",
    "Processes",
    "Progress",
    "PullRequest",
    "RateLimit",
    "Refusal",
    "Release",
    "RepositoryInfo",
    "ServiceUnits",
    "Shell",
    "Steps",
    "Stop",
    "Storage",
    "StoredMirror",
    "StoredRun",
    "TextEdit",
    "UnitState",
    "UnitUsage",
    "Verdict",
    "Workspace",
    "Workspaces",
]
