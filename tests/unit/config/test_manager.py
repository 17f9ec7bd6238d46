from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from claude_flow.config import ConfigError, ConfigManager

Write = Callable[..., Path]
Faults = Callable[..., list[str]]
TOKEN = "a-token-of-no-known-shape"


def test_every_setting_has_its_default_without_any_file(tmp_path: Path) -> None:
    config = ConfigManager.load(environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert config.get("github.poll_interval_seconds") == 30
    assert config.get("claude_flow.environment_allowlist")[0] == "ANTHROPIC_API_KEY"
    assert config.explain("github.token").layer == "default"


def test_unknown_keys_raise_and_take_a_default(write: Write) -> None:
    config = ConfigManager.load(write({}), environ={})
    with pytest.raises(KeyError):
        config.get("github.nothing")
    assert config.get("github.nothing", 7) == 7
    with pytest.raises(KeyError):
        config.explain("github.nothing")


def test_layers_are_read_from_file_to_override(write: Write, tmp_path: Path) -> None:
    path = write({"github": {"poll_interval_seconds": 1, "trigger_label": "file"}})
    write({"github": {"poll_interval_seconds": 2}}, "conf.d/20-b.json")
    write({"github": {"poll_interval_seconds": 3, "draft": 1}}, "conf.d/.hidden.json")
    write({"github": {"poll_interval_seconds": 1.5}}, "conf.d/10-a.json")
    config = ConfigManager.load(path, environ={})
    assert config.get("github.poll_interval_seconds") == 2
    assert config.get("github.trigger_label") == "file"
    origin = config.explain("github.poll_interval_seconds")
    assert (origin.layer, origin.source) == ("conf.d", str(tmp_path / "conf.d/20-b.json"))
    assert [place.line for place in origin.overridden] == [3, 3, None]


def test_the_environment_names_the_file(write: Write) -> None:
    path = write({"service": {"max_concurrent_runs": 9}})
    config = ConfigManager.load(environ={"CLAUDE_FLOW_CONFIG": str(path)})
    assert config.get("service.max_concurrent_runs") == 9


@pytest.mark.parametrize("environ", [{"CLAUDE_FLOW_CONFIG": "/nowhere/c.json"}, {}])
def test_a_named_file_must_exist(faults: Faults, environ: dict[str, str]) -> None:
    path = None if environ else "/nowhere/c.json"
    assert faults(path, environ=environ) == [
        "/nowhere/c.json: does not exist; name a file that does"
    ]


def test_an_empty_file_name_is_a_fault(faults: Faults) -> None:
    assert "is set but empty" in faults(environ={"CLAUDE_FLOW_CONFIG": ""})[0]


def test_explain_gives_line_and_column_in_characters(write: Write) -> None:
    path = write('{\n  "github": {"trigger_label": "größer", "pull_request": {"draft": false}}}')
    explanation = ConfigManager.load(path, environ={}).explain("github.pull_request.draft")
    assert (explanation.layer, explanation.line, explanation.column) == ("file", 2, 67)
    assert str(explanation) == f"github.pull_request.draft = False (file {path}:2:67)"


def test_the_credential_gives_the_token(write: Write) -> None:
    directory = write(f"{TOKEN}\n", "credentials/github-token", 0o400).parent
    config = ConfigManager.load(write({}), environ={"CREDENTIALS_DIRECTORY": str(directory)})
    assert config.get("github.token") == TOKEN
    assert config.explain("github.token").layer == "credential"
    assert config.snapshot().secrets() == [TOKEN]


class TestTokenFile:
    def test_it_gives_the_token(self, write: Write) -> None:
        token_file = write(f"{TOKEN}\nnot this\n", "token", 0o600)
        config = ConfigManager.load(write({"github": {"token_file": str(token_file)}}), environ={})
        assert config.get("github.token") == TOKEN
        explanation = config.explain("github.token")
        assert (explanation.layer, explanation.source) == ("secret file", str(token_file))

    def test_a_later_token_wins(self, write: Write) -> None:
        path = write({"github": {"token_file": str(write("old", "token", 0o600))}})
        config = ConfigManager.load(path, environ={"CLAUDE_FLOW_GITHUB_TOKEN": TOKEN})
        assert config.get("github.token") == TOKEN

    def test_a_later_file_wins(self, write: Write) -> None:
        token_file = write(TOKEN, "token", 0o600)
        path = write({"github": {"token": "old-token"}})
        variable = {"CLAUDE_FLOW_GITHUB_TOKEN_FILE": str(token_file)}
        assert ConfigManager.load(path, environ=variable).get("github.token") == TOKEN

    def test_both_in_one_layer_are_a_fault(self, faults: Faults, write: Write) -> None:
        token_file = str(write("x", "token", 0o600))
        found = faults(write({"github": {"token": TOKEN, "token_file": token_file}}))
        assert len(found) == 1
        assert "set beside github.token_file" in found[0]

    @pytest.mark.parametrize(
        ("text", "mode", "why"),
        [("x", 0o604, "may be read by others"), ("\n", 0o600, "is empty"), (None, 0, "not exist")],
    )
    def test_one_that_cannot_be_used_is_a_fault(
        self, faults: Faults, write: Write, tmp_path: Path, text: str | None, mode: int, why: str
    ) -> None:
        if text is not None:
            write(text, "token", mode)
        path = write({"github": {"token_file": str(tmp_path / "token")}})
        found = faults(path)
        assert len(found) == 1
        assert why in found[0]
        assert f"{path}:3:" in found[0]
        # Of another host's configuration the files are not here.
        ConfigManager.load(path, environ={}, check_files=False)

    @pytest.mark.parametrize("path", ["here/token", 5, "/a\0b"])
    def test_what_is_no_path_is_one_fault(self, faults: Faults, write: Write, path: object) -> None:
        (found,) = faults(write({"github": {"token_file": path}}))
        assert "is not valid; expected a text or null, such as" in found

    @pytest.mark.parametrize("text", ["two words", "tök€n", "a\tb"])
    def test_what_is_no_token_is_a_fault_that_does_not_show_it(
        self, faults: Faults, write: Write, text: str
    ) -> None:
        path = write({"github": {"token_file": str(write(text, "token", 0o600))}})
        found = faults(path)
        assert len(found) == 1
        assert text not in found[0]


class TestSecrets:
    def test_nothing_but_get_shows_it(self, write: Write) -> None:
        config = ConfigManager.load(write({"github": {"token": TOKEN}}), environ={})
        assert config.get("github.token") == TOKEN
        secret = config.secret("github.token")
        assert secret is not None
        assert secret.reveal() == TOKEN
        shown = [config, config.snapshot(), config.as_dict(), config.explain("github.token")]
        shown += [config.explain("github.token").to_json(), config.get("github"), secret]
        for thing in shown:
            assert TOKEN not in f"{thing} {thing!r}"
        assert config.as_dict()["github"]["token"] == "***"
        assert config.snapshot().redactor.redact(f"x {TOKEN} y") == "x *** y"

    def test_what_is_not_secret_has_none(self, write: Write) -> None:
        config = ConfigManager.load(write({}), environ={})
        assert config.secret("github.token") is None
        with pytest.raises(KeyError, match="not secret"):
            config.secret("github.api_url")


class TestReload:
    def test_it_gives_the_keys_that_changed(self, write: Write) -> None:
        path = write({"github": {"poll_interval_seconds": 5}, "monitoring": {"http_port": 1}})
        config = ConfigManager.load(path, environ={})
        before = config.snapshot()
        write({"github": {"poll_interval_seconds": 5, "repositories": ["a/b"]}})
        assert config.reload() == ("github.repositories", "monitoring.http_port")
        assert config.reload() == ()
        assert config.get("github.repositories") == ["a/b"]
        assert before.get("github.repositories") == []
        assert config.needs_restart(("github.repositories", "monitoring.http_port")) == (
            "monitoring.http_port",
        )

    def test_an_invalid_one_changes_nothing(self, write: Write) -> None:
        path = write({"github": {"poll_interval_seconds": 5}})
        config = ConfigManager.load(path, environ={})
        for broken in ("{", {"github": {"poll_interval_seconds": -1, "trigger_label": "new"}}):
            write(broken)
            with pytest.raises(ConfigError):
                config.reload()
            assert config.get("github.poll_interval_seconds") == 5
            assert config.get("github.trigger_label") == "ready-for-implementation"

    def test_a_changed_token_file_is_read_again(self, write: Write) -> None:
        token_file = write("one", "token", 0o600)
        config = ConfigManager.load(write({"github": {"token_file": str(token_file)}}), environ={})
        token_file.write_text("two")
        assert config.reload() == ("github.token", "github.token_file")
        assert config.get("github.token") == "two"

    def test_readers_in_other_threads_see_one_or_the_other(self, write: Write) -> None:
        pairs = [(1, 2), (3, 4)]
        sections = [dict(zip(("max_attempts", "max_turns"), pair, strict=True)) for pair in pairs]
        path = write({"claude_flow": sections[0]})
        config = ConfigManager.load(path, environ={})
        seen: set[tuple[int, int]] = set()
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                snapshot = config.snapshot()
                keys = ("claude_flow.max_attempts", "claude_flow.max_turns")
                seen.add((snapshot.get(keys[0]), snapshot.get(keys[1])))

        reader = threading.Thread(target=read)
        reader.start()
        for round_ in range(50):
            write({"claude_flow": sections[round_ % 2]})
            config.reload()
        done.set()
        reader.join()
        assert seen <= set(pairs)


class TestStartable:
    def test_it_says_what_lacks(self, faults: Faults, write: Write) -> None:
        path = write({})
        for found in (faults(path, startable=True), faults(path, startable=True)):
            assert len(found) == 2
            assert found[0].startswith("github.repositories: no repository to watch; add one")
            assert found[1].startswith("github.token: no credential for GitHub; set")

    @pytest.mark.parametrize(
        "document",
        [
            {"github": {"webhook": {"enabled": True}}},
        ],
    )
    def test_what_nothing_acts_on_is_refused(
        self, faults: Faults, write: Write, document: dict[str, dict[str, object]]
    ) -> None:
        secret_file = str(write("x", "secret", 0o600))
        overrides: dict[str, object] = {
            "github.repositories": ["a/b"],
            "github.token": TOKEN,
            "github.webhook.secret_file": secret_file,
        }
        (found,) = faults(write(document), overrides=overrides, startable=True)
        assert "is not available in this release" in found

    def test_it_holds_for_reloads_too(self, write: Write) -> None:
        config = ConfigManager.load(write({}), environ={})
        with pytest.raises(ConfigError):
            config.require_startable()
        config.reload()
        write({"github": {"repositories": ["a/b"], "token": TOKEN}})
        config.reload()
        config.require_startable()
        write({"github": {"token": TOKEN}})
        with pytest.raises(ConfigError):
            config.reload()


class TestValuesAreNotTheManagers:
    def test_lists_and_sections_are_copies(self, write: Write) -> None:
        overrides = {"github": {"repositories": ["a/b"]}}
        config = ConfigManager.load(write({}), environ={}, overrides=overrides)
        overrides["github"]["repositories"].append("x/y")
        config.get("github.repositories").append("c/d")
        config.get("github")["repositories"].append("c/d")
        config.as_dict()["github"]["repositories"].append("c/d")
        assert config.get("github.repositories") == ["a/b"]
        assert config.reload() == ()

    def test_a_whole_number_written_as_a_float_is_an_integer(self, write: Write) -> None:
        config = ConfigManager.load(write({"claude_flow": {"max_turns": 7.0}}), environ={})
        assert repr(config.get("claude_flow.max_turns")) == "7"
