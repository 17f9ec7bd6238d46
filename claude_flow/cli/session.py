"""What every command begins with: the configuration, loaded when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import typer

from claude_flow.config import ConfigManager
from claude_flow.journal import redactor


class Session:
    """One call of the program: its configuration file (None: the usual one), its environment."""

    def __init__(self, config_path: Path | None, environ: Mapping[str, str]) -> None:
        self.config_path = config_path
        self.environ = environ

    @cached_property
    def config(self) -> ConfigManager:
        """The configuration. Raises ConfigError."""
        config = ConfigManager.load(self.config_path, environ=self.environ)
        redactor.add(*config.snapshot().secrets())
        return config

    @cached_property
    def settings(self) -> ConfigManager:
        """The configuration without what its secret files hold, for commands that only look.

        So an operator who may not read the GitHub token can still see how the runs stand.
        Raises ConfigError.
        """
        return ConfigManager.load(self.config_path, environ=self.environ, check_files=False)

    @property
    def state_directory(self) -> Path:
        """Where the daemon keeps its state."""
        return Path(self.settings.get("service.state_directory"))


def session_of(context: typer.Context) -> Session:
    """The session that the root command made."""
    found = context.find_object(Session)
    return found if found is not None else Session(None, os.environ)
