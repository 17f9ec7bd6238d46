from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from claude_flow.config import ConfigError, ConfigFileError, ConfigManager

Write = Callable[..., Path]
TOKEN = "a-token-of-no-known-shape"


class TestSave:
    def test_only_the_file_and_what_was_set_are_written(self, write: Write) -> None:
        path = write({"$schema": "s.json", "github": {"repositories": ["a/b"]}}, mode=0o600)
        environ = {"CLAUDE_FLOW_GITHUB_TOKEN": TOKEN, "CLAUDE_FLOW_SERVICE_LOG_LEVEL": "DEBUG"}
        config = ConfigManager.load(path, environ=environ)
        config.set("github.poll_interval_seconds", 7)
        config.set("service.log_level", "ERROR")
        assert config.get("github.poll_interval_seconds") == 7
        assert config.get("service.log_level") == "DEBUG"
        assert "poll" not in path.read_text()
        assert config.save() == path
        assert path.read_text() == (
            '{\n  "$schema": "s.json",\n  "github": {\n    "repositories": [\n      "a/b"\n'
            '    ],\n    "poll_interval_seconds": 7\n  },\n'
            '  "service": {\n    "log_level": "ERROR"\n  }\n}\n'
        )
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert config.explain("github.poll_interval_seconds").line == 7
        assert [entry.name for entry in path.parent.iterdir()] == ["config.json"]

    def test_a_new_file_is_not_for_others(self, tmp_path: Path) -> None:
        environ = {"CLAUDE_FLOW_CONFIG": str(tmp_path / "new.json")}
        with pytest.raises(ConfigError):
            ConfigManager.load(environ=environ)
        (tmp_path / "new.json").write_text("{}")
        config = ConfigManager.load(environ=environ)
        (tmp_path / "new.json").unlink()
        config.set("github.trigger_label", "x")
        assert stat.S_IMODE(config.save().stat().st_mode) == 0o640

    def test_what_is_invalid_is_not_set(self, write: Write) -> None:
        config = ConfigManager.load(write({}), environ={})
        with pytest.raises(ConfigError):
            config.set("claude_flow.max_turns", 0)
        with pytest.raises(KeyError):
            config.set("claude_flow", {})
        assert config.get("claude_flow.max_turns") == 50

    def test_a_file_that_was_changed_meanwhile_is_kept(self, write: Write) -> None:
        path = write({})
        config = ConfigManager.load(path, environ={})
        config.set("claude_flow.max_turns", 3)
        path.write_text('{"claude_flow": {"max_turns": 9}}')
        with pytest.raises(ConfigFileError, match="was changed since"):
            config.save()
        assert "9" in path.read_text()

    def test_a_link_stays_a_link(self, write: Write, tmp_path: Path) -> None:
        target = write({}, "real/target.json")
        link = tmp_path / "link.json"
        link.symlink_to(target)
        config = ConfigManager.load(link, environ={})
        config.set("claude_flow.max_turns", 3)
        config.save()
        assert link.is_symlink()
        assert "max_turns" in target.read_text()

    def test_an_unwritable_place_is_told_and_left_clean(self, tmp_path: Path) -> None:
        path = tmp_path / "gone" / "config.json"
        path.parent.mkdir()
        path.write_text("{}")
        config = ConfigManager.load(path, environ={})
        config.set("claude_flow.max_turns", 3)
        path.unlink()
        path.parent.rmdir()
        with pytest.raises(ConfigFileError):
            config.save()
