"""ConfigManager: the configuration of a program, from its first load through its reloads."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from claude_flow.config.building import Demands, build
from claude_flow.config.schema import Cure, Schema, config_schema
from claude_flow.config.secret import Secret
from claude_flow.config.snapshot import Explanation, Snapshot
from claude_flow.config.sources import Sources, config_file
from claude_flow.config.writing import save_edits

_UNSET: Any = object()


class ConfigManager:
    """The configuration in force. Made by ``load``; safe to use from several threads."""

    def __init__(self, sources: Sources, demands: Demands) -> None:
        self._sources = sources
        self._demands = demands
        self._changing = threading.Lock()
        self._put_in_force(build(sources, demands))

    def _put_in_force(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._scalars = snapshot.scalars

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        startable: bool = False,
        credential: bool = True,
        check_files: bool = True,
        conf_d: bool = True,
    ) -> Self:
        """Read every layer and judge the whole.

        Args:
            path: The configuration file; None means the one that CLAUDE_FLOW_CONFIG names,
                else ``/etc/claude-flow/config.json``, which may be missing.
            environ: The environment to read; None means the process's own.
            overrides: What wins over all layers, nested or by dotted key.
            startable: Also demand what the daemon needs, see ``require_startable``.
            credential: Whether that includes a credential.
            check_files: Read the files that settings name. False is for a configuration of
                another host.
            conf_d: Read the files in ``conf.d`` beside the file.

        Raises:
            ConfigError: with every fault.
        """
        sources = Sources(
            schema=config_schema(),
            path=None if path is None else Path(path),
            environ=os.environ if environ is None else environ,
            overrides=deepcopy(dict(overrides or {})),
            conf_d=conf_d,
        )
        demands = Demands(
            files=check_files, repository=startable, credential=startable and credential
        )
        return cls(sources, demands)

    @property
    def schema(self) -> Schema:
        """What describes the settings."""
        return self._sources.schema

    @property
    def path(self) -> Path:
        """The configuration file, which may be missing if nobody named it."""
        return config_file(self._sources.path, self._sources.environ)[0]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What looks odd but is allowed, one line each."""
        return self._snapshot.warnings

    def get(self, key: str, default: Any = _UNSET) -> Any:
        """The value of a setting (a secret in clear), or a section as a dict.

        ``default`` is for keys that no schema knows; without it they raise KeyError. In a
        section's dict secrets are ``Secret`` values.
        """
        try:
            return self._scalars[key]  # the usual case, in one look
        except KeyError:
            if default is not _UNSET and not self.schema.knows(key):
                return default
        return self._snapshot.get(key)

    def secret(self, key: str) -> Secret | None:
        """A secret setting or the content of a secret file; see ``Snapshot.secret``."""
        return self._snapshot.secret(key)

    def explain(self, key: str) -> Explanation:
        """Where a setting's value came from. Raises KeyError for an unknown key."""
        return self._snapshot.explain(key)

    def snapshot(self) -> Snapshot:
        """The configuration as it is now, for what must not see a reload."""
        return self._snapshot

    def as_dict(self) -> dict[str, Any]:
        """All of it as nested JSON values, secrets masked."""
        return self._snapshot.as_dict()

    def reload(self) -> tuple[str, ...]:
        """Read every layer again; the keys that changed, by name.

        Raises ConfigError and keeps the configuration in force if the new one is invalid.
        """
        with self._changing:
            new = build(self._sources, self._demands)
            changed = self._snapshot.changes(new)
            self._put_in_force(new)
            return changed

    def needs_restart(self, changed: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the changed keys that take effect only after a restart."""
        return tuple(key for key in changed if self.schema.settings[key].cure is Cure.RESTART)

    def require_startable(self, *, credential: bool = True) -> None:
        """Raise ConfigError unless the daemon could start with it; so do reloads from now on.

        It needs a repository to watch and a token. Where systemd gives the token to the daemon
        alone, others leave it out by ``credential=False``.
        """
        demands = replace(self._demands, repository=True, credential=credential)
        with self._changing:
            self._put_in_force(build(self._sources, demands))
            self._demands = demands

    def set(self, key: str, value: Any) -> None:
        """Give a setting a value in the configuration file, which ``save`` writes.

        A stronger layer still wins. Raises KeyError for an unknown key, ConfigError and
        changes nothing if the configuration would be invalid.
        """
        if key not in self.schema.settings:
            raise KeyError(key)
        with self._changing:
            sources = replace(self._sources, edits={**self._sources.edits, key: value})
            self._put_in_force(build(sources, self._demands))
            self._sources = sources

    def save(self) -> Path:
        """Write what was ``set`` into the configuration file, at once or not at all.

        Only the file's own values and those are written: nothing from another layer. Mode and
        owner stay; a new file gets 0640. Raises ConfigFileError if the file was changed since
        it was read or cannot be written.
        """
        with self._changing:
            path = self.path
            save_edits(path, self._snapshot.file_text, self._sources.edits)
            self._sources = replace(self._sources, edits={})
            self._put_in_force(build(self._sources, self._demands))
            return path

    def __repr__(self) -> str:
        return f"<ConfigManager {self.path} {self.as_dict()}>"
