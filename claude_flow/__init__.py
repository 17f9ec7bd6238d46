"""Turns labelled GitHub issues into reviewed pull requests.

The library's three names load on first use, so that importing one does not load the others'
dependencies.
"""

from __future__ import annotations

from importlib import import_module

from claude_flow.version import __version__

_HOMES = {
    "ConfigError": "claude_flow.config",
    "ConfigManager": "claude_flow.config",
    "ServiceManager": "claude_flow.service",
    "RunResult": "claude_flow.runner",
    "WorkflowRunner": "claude_flow.runner",
}

__all__ = [
    "ConfigError",
    "ConfigManager",
    "RunResult",
    "ServiceManager",
    "WorkflowRunner",
    "__version__",
]


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(home), name)
