from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from claude_flow.config import ConfigManager

Write = Callable[..., Path]
Faults = Callable[..., list[str]]
TOKEN = "a-token-of-no-known-shape"


class TestFaults:
    def test_all_are_told_at_once_with_place_and_what_to_do(
        self, faults: Faults, write: Write
    ) -> None:
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

    def test_a_key_in_the_wrong_section_is_told_where_it_belongs(
        self, faults: Faults, write: Write
    ) -> None:
        found = faults(write({"service": {"poll_intervall_seconds": 5}}))
        assert "did you mean github.poll_interval_seconds?" in found[0]

    def test_malformed_json_shows_the_line_over_a_caret_but_no_value(
        self, faults: Faults, write: Write
    ) -> None:
        path = write(f'{{\n  "github": {{\n    "token": "{TOKEN}" "trigger_label": 5\n}}}}')
        (found,) = faults(path)
        stars = "*" * len(TOKEN)
        assert found.splitlines() == [
            f"{path}:3:42: is not JSON: Expecting ',' delimiter",
            f'3 |     "token": "{stars}" "trigger_label": *',
            f"{'^':>{4 + 42}}",
        ]

    def test_a_key_named_twice_is_a_fault_at_the_second(self, faults: Faults, write: Write) -> None:
        path = write('{"github": {"trigger_label": "a",\n"trigger_label": "b"}, "github": {}}')
        assert faults(path) == [
            f"{path}:2:1: github.trigger_label: is named twice in one object; keep one of them",
            f"{path}:2:24: github: is named twice in one object; keep one of them",
        ]

    def test_a_key_named_twice_hides_no_other_fault(self, faults: Faults, write: Write) -> None:
        text = '{"service": {"max_concurrent_runs": 2, "max_concurrent_runs": 0, "nonsense": 1}}'
        told = "\n".join(faults(write(text)))
        assert "named twice" in told
        assert "service.nonsense" in told
        assert "0 is not valid" in told

    def test_a_key_named_twice_inside_a_list_is_a_fault_too(
        self, faults: Faults, write: Write
    ) -> None:
        path = write('{"github": {"repositories": [1, {"a": 1, "a": 2}]}}')
        assert faults(path)[-1] == (
            f"{path}:1:42: github.repositories.1.a: is named twice in one object; keep one of them"
        )

    def test_a_name_with_dots_is_told_to_be_nested(self, faults: Faults, write: Write) -> None:
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
    def test_what_is_no_configuration_is_refused(
        self, faults: Faults, write: Write, text: str, why: str
    ) -> None:
        assert why in faults(write(text))[0]

    def test_only_regular_utf8_files_are_read(
        self, faults: Faults, write: Write, tmp_path: Path
    ) -> None:
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

    def test_a_secret_that_others_may_read_is_refused(self, faults: Faults, write: Write) -> None:
        (found,) = faults(write({"github": {"token": TOKEN}}, mode=0o644))
        assert "github.token: is secret, but others may read" in found
        ConfigManager.load(write({"github": {"token": None}}, mode=0o644), environ={})

    @pytest.mark.parametrize(
        ("document", "why"),
        [
            ({"claude_flow": {"agent": "command"}}, "claude_flow.command is not set"),
            ({"github": {"app": {"id": 5}}}, "set all three or none"),
            ({"github": {"webhook": {"enabled": True}}}, "secret_file is not set"),
            ({"execution": {"network_hosts": ["a.org"]}}, "execution.network is not hosts"),
        ],
    )
    def test_settings_that_need_one_another(
        self, faults: Faults, write: Write, document: dict[str, object], why: str
    ) -> None:
        (found,) = faults(write(document))
        assert why in found

    def test_a_secret_pasted_into_a_wrong_place_is_masked(
        self, faults: Faults, write: Write
    ) -> None:
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

    def test_overrides_must_be_json(self, faults: Faults, write: Write) -> None:
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
    def test_a_near_name_is_a_fault(
        self, faults: Faults, write: Write, name: str, meant: str
    ) -> None:
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


def test_an_older_name_is_told_with_its_successor_and_the_cure(
    faults: Faults, write: Write
) -> None:
    (found,) = faults(write({"service": {"max_concurrent_issues": 2}}))
    assert "an older name; claude-flowctl config migrate mends the file" in found
    assert "did you mean service.max_concurrent_runs?" in found
