from __future__ import annotations

from typing import Any

import pytest

from claude_flow.config import config_schema
from claude_flow.config.migration import migrate


def test_every_older_name_becomes_todays() -> None:
    old: dict[str, dict[str, Any]] = {
        "github": {"owner": "acme", "repo": "widgets", "labels": ["ready"], "token": "t"},
        "service": {
            "poll_interval_seconds": 60,
            "max_concurrent_issues": 2,
            "workspace_base_path": "/w",
            "health_check_port": 8080,
        },
        "claude_flow": {"install_command": "npm install"},
        "systemd": {"service_name": "claude-flow"},
    }
    migration = migrate(config_schema(), old)
    assert migration.document == {
        "github": {
            "token": "t",
            "repositories": ["acme/widgets"],
            "trigger_label": "ready",
            "poll_interval_seconds": 60,
        },
        "service": {"max_concurrent_runs": 2, "workspace_root": "/w"},
        "claude_flow": {},
        "systemd": {"unit": "claude-flow.service"},
        "monitoring": {"http_port": 8080},
    }
    assert config_schema().layer_validator.is_valid(migration.document)
    assert len(migration.changes) == 8
    assert migrate(config_schema(), migration.document).changes == ()
    assert old["github"]["owner"] == "acme"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            {"github": {"labels": ["a", "b"]}},
            {"github": {"trigger_label": "a"}},
            "only the first of github.labels is kept, of 2",
        ),
        (
            {"github": {"labels": ["a"], "trigger_label": "b"}},
            {"github": {"trigger_label": "b"}},
            "github.labels was dropped: github.trigger_label is set",
        ),
        (
            {"github": {"owner": "acme"}},
            {"github": {"repositories": ["acme"]}},
            "github.owner stood alone: complete github.repositories as owner/name",
        ),
        (
            {"github": {"owner": "a", "repo": "b", "repositories": ["c/d"]}},
            {"github": {"repositories": ["c/d"]}},
            "github.repo was dropped: github.repositories is set",
        ),
        ({"github": 5, "other": []}, {"github": 5, "other": []}, None),
    ],
)
def test_odd_files_lose_nothing_silently(
    old: dict[str, Any], new: dict[str, Any], said: str | None
) -> None:
    migration = migrate(config_schema(), old)
    assert migration.document == new
    assert (said in migration.changes) if said else not migration.changes
