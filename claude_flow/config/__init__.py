"""The configuration: one schema, layers over its defaults, every fault at once."""

from __future__ import annotations

from claude_flow.config.errors import ConfigError, ConfigFileError, Origin, Problem
from claude_flow.config.manager import ConfigManager
from claude_flow.config.running import RunningRecord
from claude_flow.config.schema import Schema, Setting, config_schema, schema_path
from claude_flow.config.secret import Secret
from claude_flow.config.snapshot import Explanation, Snapshot

__all__ = [
    "ConfigError",
    "ConfigFileError",
    "ConfigManager",
    "Explanation",
    "Origin",
    "Problem",
    "RunningRecord",
    "Schema",
    "Secret",
    "Setting",
    "Snapshot",
    "config_schema",
    "schema_path",
]
