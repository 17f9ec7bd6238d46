from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from claude_flow.config import ConfigError, ConfigFileError, ConfigManager

Write = Callable[..., Path]
TOKEN = "a-token-of-no-known-shape"


def faults(*args: object, **kwargs: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        ConfigManager.load(*args, **{"environ": {}, **kwargs})  # type: ignore[arg-type] # passes on
    return [str(problem) for problem in caught.value.problems]


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
def test_a_named_file_must_exist(environ: dict[str, str]) -> None:
    path = None if environ else "/nowhere/c.json"
    assert faults(path, environ=environ) == [
        "/nowhere/c.json: does not exist; name a file that does"
    ]


def test_an_empty_file_name_is_a_fault() -> None:
    assert "is set but empty" in faults(environ={"CLAUDE_FLOW_CONFIG": ""})[0]


def test_explain_gives_line_and_column_in_characters(write: Write) -> None:
    path = write('{\n  "github": {"trigger_label": "größer", "pull_request": {"draft": false}}}')
    explanation = ConfigManager.load(path, environ={}).explain("github.pull_request.draft")
    assert (explanation.layer, explanation.line, explanation.column) == ("file", 2, 67)
    assert str(explanation) == f"github.pull_request.draft = False (file {path}:2:67)"


def test_the_credential_gives_the_token_and_the_key_file(write: Write) -> None:
    write(f"{TOKEN}\n", "credentials/github-token", 0o400)
    directory = write("-----BEGIN KEY-----", "credentials/github-app-key", 0o440).parent
    path = write({"github": {"app": {"id": 1, "installation_id": 2}}})
    config = ConfigManager.load(path, environ={"CREDENTIALS_DIRECTORY": str(directory)})
    assert config.get("github.token") == TOKEN
    assert config.explain("github.token").layer == "credential"
    assert config.get("github.app.private_key_file") == str(directory / "github-app-key")
    key = config.secret("github.app.private_key_file")
    assert key is not None
    assert key.reveal() == "-----BEGIN KEY-----"
    assert config.snapshot().secrets() == [TOKEN, "-----BEGIN KEY-----"]


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

    def test_both_in_one_layer_are_a_fault(self, write: Write) -> None:
        token_file = str(write("x", "token", 0o600))
        found = faults(write({"github": {"token": TOKEN, "token_file": token_file}}))
        assert len(found) == 1
        assert "set beside github.token_file" in found[0]

    @pytest.mark.parametrize(
        ("text", "mode", "why"),
        [("x", 0o604, "may be read by others"), ("\n", 0o600, "is empty"), (None, 0, "not exist")],
    )
    def test_one_that_cannot_be_used_is_a_fault(
        self, write: Write, tmp_path: Path, text: str | None, mode: int, why: str
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

    @pytest.mark.parametrize("text", ["two words", "tök€n", "a\tb"])
    def test_what_is_no_token_is_a_fault_that_does_not_show_it(
        self, write: Write, text: str
    ) -> None:
        path = write({"github": {"token_file": str(write(text, "token", 0o600))}})
        found = faults(path)
        assert len(found) == 1
        assert text not in found[0]


class TestFaults:
    def test_all_are_told_at_once_with_place_and_what_to_do(self, write: Write) -> None:
        path = write(
            '{"github": {"repositories": ["widgets"],\n'
            '            "poll_intervall_seconds": 5},\n'
            ' "service": {"max_concurrent_runs": 0, "log_level": "info"},\n'
            ' "enigne": {}, "systemd": 5}'
        )
        found = faults(
            path,
            environ={
                "CLAUDE_FLOW_SERVICE_SHUTDOWN_GRACE_SECONDS": "",
                "CLAUDE_FLOW_MAX_TURNS": "5",
                "CLAUDE_FLOW_GITHUB_PULL_REQUEST_DRAFT": "maybe",
            },
        )
        assert found == (
            [
                (
                    f'{path}:1:30: github.repositories[0]: "widgets" is not valid; expected a list,'
                    ' each a text of at most 140 characters, such as "owner/name", none twice'
                ),
                (
                    f"{path}:2:39: github.poll_intervall_seconds: is not a setting;"
                    " did you mean github.poll_interval_seconds?"
                ),
                (
                    f"{path}:3:37: service.max_concurrent_runs: 0 is not valid;"
                    " expected an integer from 1 to 1000 (runs)"
                ),
                (
                    f'{path}:3:53: service.log_level: "info" is not valid; expected one of "DEBUG",'
                    ' "INFO", "WARNING", "ERROR", "CRITICAL"'
                ),
                f"{path}:4:12: enigne: is not a setting; did you mean engine?",
                f"{path}:4:27: systemd: is a section, not a value; expected an object",
                (
                    "CLAUDE_FLOW_GITHUB_PULL_REQUEST_DRAFT: github.pull_request.draft:"
                    ' "maybe" is none of true, false, yes, no, on, off, 1, 0;'
                    " expected true or false"
                ),
                (
                    "CLAUDE_FLOW_MAX_TURNS: is not a setting;"
                    " did you mean CLAUDE_FLOW_CLAUDE_FLOW_MAX_TURNS?"
                ),
                (
                    "CLAUDE_FLOW_SERVICE_SHUTDOWN_GRACE_SECONDS: service.shutdown_grace_seconds:"
                    ' "" is not a number; expected a number from 0 to 86400 (seconds)'
                ),
            ]
        )

    def test_a_key_in_the_wrong_section_is_told_where_it_belongs(self, write: Write) -> None:
        found = faults(write({"service": {"poll_intervall_seconds": 5}}))
        assert "did you mean github.poll_interval_seconds?" in found[0]

    def test_malformed_json_shows_the_line_over_a_caret_but_no_value(self, write: Write) -> None:
        path = write(f'{{\n  "github": {{\n    "token": "{TOKEN}" "trigger_label": 5\n}}}}')
        (found,) = faults(path)
        stars = "*" * len(TOKEN)
        assert found.splitlines() == [
            f"{path}:3:42: is not JSON: Expecting ',' delimiter",
            f'3 |     "token": "{stars}" "trigger_label": *',
            f"{'^':>{4 + 42}}",
        ]

    def test_a_key_named_twice_is_a_fault_at_the_second(self, write: Write) -> None:
        path = write('{"github": {"trigger_label": "a",\n"trigger_label": "b"}, "github": {}}')
        assert faults(path) == [
            f"{path}:2:1: github.trigger_label: is named twice in one object; keep one of them",
            f"{path}:2:24: github: is named twice in one object; keep one of them",
        ]

    def test_a_key_named_twice_inside_a_list_is_a_fault_too(self, write: Write) -> None:
        path = write('{"github": {"repositories": [1, {"a": 1, "a": 2}]}}')
        assert faults(path) == [
            f"{path}:1:42: github.repositories.1.a: is named twice in one object; keep one of them"
        ]

    def test_a_name_with_dots_is_told_to_be_nested(self, write: Write) -> None:
        (found,) = faults(write({"github.api_url": "https://x"}))
        assert "github.api_url: has dots in its name; write objects" in found
        assert ":2:21:" in found

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("[]", "is not a JSON object"),
            ('{"github": NaN}', "holds NaN"),
            ('{"github": 1e999}', "too large"),
            ("[" * 5000 + "]" * 5000, "nested too deeply"),
            ('{"github":' + "[" * 40 + "]" * 40 + "}", "nested too deeply"),
            ('{"github": ' + "9" * 5000 + "}", "too long"),
            ('{"github": {"trigger_label": "\\ud83d"}}', "half a character"),
            ("", "is not JSON"),
        ],
    )
    def test_what_is_no_configuration_is_refused(self, write: Write, text: str, why: str) -> None:
        assert why in faults(write(text))[0]

    def test_only_regular_utf8_files_are_read(self, write: Write, tmp_path: Path) -> None:
        assert "not a regular file" in faults(tmp_path)[0]
        os.mkfifo(tmp_path / "pipe")
        assert "not a regular file" in faults(tmp_path / "pipe")[0]
        assert "NUL" in faults("/a\0b")[0]
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        assert "cannot be read: Too many levels" in faults(tmp_path / "loop")[0]
        path = write("{}")
        path.write_bytes(b'{"github": "\xff"}')
        assert "is not UTF-8 (byte 12)" in faults(path)[0]
        path.write_bytes(b" " * (1024 * 1024 + 1))
        assert "larger than 1 MiB" in faults(path)[0]

    def test_a_secret_that_others_may_read_is_refused(self, write: Write) -> None:
        (found,) = faults(write({"github": {"token": TOKEN}}, mode=0o644))
        assert "github.token: is secret, but others may read" in found
        ConfigManager.load(write({"github": {"token": None}}, mode=0o644), environ={})

    @pytest.mark.parametrize(
        ("document", "why"),
        [
            ({"claude_flow": {"agent": "command"}}, "claude_flow.command is not set"),
            ({"github": {"app": {"id": 5}}}, "set all three or none"),
            ({"github": {"webhook": {"enabled": True}}}, "secret_file is not set"),
        ],
    )
    def test_settings_that_need_one_another(
        self, write: Write, document: dict[str, object], why: str
    ) -> None:
        (found,) = faults(write(document))
        assert why in found

    def test_a_secret_pasted_into_a_wrong_place_is_masked(self, write: Write) -> None:
        shaped = "ghp_" + "A1" * 18
        document = {
            "github": {"token": TOKEN, "trigger_label": f" {TOKEN}", "state_label_prefix": 7},
            shaped: 1,
            "service": {"log_level": shaped},
            "engine": {"database_url": "mysql://u:hunter22@h/d"},
        }
        path = write(document)
        text = "\n".join(faults(path, environ={"CLAUDE_FLOW_SERVICE_LOG_LEVEL": TOKEN}))
        assert "state_label_prefix" in text
        for secret in (TOKEN, shaped, "hunter22"):
            assert secret not in text

    def test_overrides_must_be_json(self, write: Write) -> None:
        assert "not JSON values" in faults(write({}), overrides={"github.token": object()})[0]
        assert "not a setting" in faults(write({}), overrides={"github.tokens": "x"})[0]


class TestEnvironment:
    @pytest.mark.parametrize(
        "name", ["CLAUDE_FLOW_HOOKS_ENABLED", "CLAUDE_FLOW_FOO", "CLAUDE_FLOW_"]
    )
    def test_a_far_name_is_a_warning(self, write: Write, name: str) -> None:
        config = ConfigManager.load(write({}), environ={name: "x"})
        assert config.warnings == (f"{name} is not a setting; ignored",)

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("CLAUDE_FLOW_GITHUB_TOKNE", "CLAUDE_FLOW_GITHUB_TOKEN"),
            ("CLAUDE_FLOW_GITHUB_TOKN", "CLAUDE_FLOW_GITHUB_TOKEN"),
            ("CLAUDE_FLOW_TOKEN", "CLAUDE_FLOW_GITHUB_TOKEN"),
            ("CLAUDE_FLOW_MAX_TURNS", "CLAUDE_FLOW_CLAUDE_FLOW_MAX_TURNS"),
            ("CLAUDE_FLOW_WEBHOOK_ENABLED", "CLAUDE_FLOW_GITHUB_WEBHOOK_ENABLED"),
        ],
    )
    def test_a_near_name_is_a_fault(self, write: Write, name: str, meant: str) -> None:
        assert faults(write({}), environ={name: "x"}) == [
            f"{name}: is not a setting; did you mean {meant}?"
        ]

    def test_what_the_service_gives_agents_is_no_setting(self, write: Write) -> None:
        names = ("CLAUDE_FLOW_RUN_ID", "CLAUDE_FLOW_ISSUE", "CLAUDE_FLOW_WORKSPACE")
        assert ConfigManager.load(write({}), environ=dict.fromkeys(names, "x")).warnings == ()

    def test_a_section_is_json_and_a_key_in_it_wins(self, write: Write) -> None:
        environ = {
            "CLAUDE_FLOW_SERVICE": '{"max_concurrent_runs": 5, "log_level": "DEBUG"}',
            "CLAUDE_FLOW_SERVICE_MAX_CONCURRENT_RUNS": "6",
        }
        config = ConfigManager.load(write({}), environ=environ)
        assert config.get("service.max_concurrent_runs") == 6
        assert config.get("service.log_level") == "DEBUG"
        assert config.explain("service.log_level").source == "CLAUDE_FLOW_SERVICE"


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
    def test_it_says_what_lacks(self, write: Write) -> None:
        path = write({})
        for found in (faults(path, startable=True), faults(path, startable=True)):
            assert len(found) == 2
            assert found[0].startswith("github.repositories: no repository to watch; add one")
            assert found[1].startswith("github.token: no credential for GitHub; set")

    @pytest.mark.parametrize(
        "document",
        [
            {"execution": {"backend": "systemd"}},
            {"github": {"webhook": {"enabled": True}}},
            {"github": {"app": {"id": 1, "installation_id": 2}}},
        ],
    )
    def test_what_nothing_acts_on_is_refused(
        self, write: Write, document: dict[str, dict[str, object]]
    ) -> None:
        secret_file = str(write("x", "secret", 0o600))
        overrides: dict[str, object] = {
            "github.repositories": ["a/b"],
            "github.token": TOKEN,
            "github.webhook.secret_file": secret_file,
        }
        if "app" in document.get("github", {}):
            overrides["github.app.private_key_file"] = secret_file
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


def test_an_older_name_is_told_with_its_successor_and_the_cure(write: Write) -> None:
    (found,) = faults(write({"service": {"max_concurrent_issues": 2}}))
    assert "an older name; claude-flowctl config migrate mends the file" in found
    assert "did you mean service.max_concurrent_runs?" in found
