"""What the commands for the configuration do."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import typer

from claude_flow.cli.output import say, say_fields, say_json, say_table
from claude_flow.cli.session import Session
from claude_flow.config import ConfigError, ConfigManager, Secret, Setting, config_schema
from claude_flow.config.coercion import CoercionError, coerce
from claude_flow.config.migration import migrate
from claude_flow.config.parsing import JsonFaultError, parse
from claude_flow.config.running import differences, read_running
from claude_flow.config.secret import FileFaultError, read_text
from claude_flow.config.sources import config_file
from claude_flow.config.validation import nearest_key
from claude_flow.config.writing import write_document
from claude_flow.errors import EXIT_CONFIGURATION, ServiceError, UsageError
from claude_flow.journal import MASK


def check(session: Session, *, document_only: bool, as_json: bool) -> None:
    """Judge the configuration as the daemon would.

    Without the credential: systemd may give that to the daemon alone.
    """
    try:
        # Alone means without the environment too, but not without the name it gives the file.
        path = config_file(session.config_path, session.environ)[0]
        config = ConfigManager.load(
            path if document_only else session.config_path,
            environ={} if document_only else session.environ,
            startable=True,
            credential=False,
            check_files=not document_only,
            conf_d=not document_only,
        )
    except ConfigError as error:
        if not as_json:
            raise
        problems = [problem.to_json() for problem in error.problems]
        say_json({"valid": False, "problems": problems, "warnings": []})
        raise typer.Exit(EXIT_CONFIGURATION) from None
    warnings = [*config.warnings, *_credential_warnings(config)]
    if as_json:
        say_json({"valid": True, "problems": [], "warnings": warnings})
        return
    for warning in warnings:
        sys.stderr.write(f"warning: {warning}\n")
    say(f"{config.path}: valid")


def _credential_warnings(config: ConfigManager) -> list[str]:
    if config.get("github.app.id") is not None:
        keys, credential = ["github.app.private_key_file"], "github-app-key"
    else:
        keys, credential = ["github.token", "github.token_file"], "github-token"
    if any(config.get(key) is not None for key in keys):
        return []
    return [f"no credential for GitHub is set here; systemd may give the daemon one ({credential})"]


def show(session: Session, *, as_json: bool) -> None:
    """Show all values, with their origins for people."""
    config = session.config
    if as_json:
        say_json(config.as_dict())
        return
    explained = (config.explain(key) for key in config.schema.settings)
    say_table(("KEY", "VALUE", "FROM"), [(e.key, _text(e.value), e.origin) for e in explained])


def get(session: Session, key: str, *, reveal: bool, as_json: bool) -> None:
    """Print one value."""
    config = session.config
    try:
        value = config.get(key)
    except KeyError:
        raise _unknown(key) from None
    setting = config.schema.settings.get(key)
    if setting is None:
        value = _plain(value, reveal=reveal)
    elif setting.is_secret and value is not None and not reveal:
        value = MASK
    # Not through the masking printer: to reveal is what was asked for.
    text = json.dumps(value, indent=2, ensure_ascii=False) if as_json else _text(value)
    sys.stdout.write(text + "\n")


def _plain(value: Any, *, reveal: bool) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner, reveal=reveal) for name, inner in value.items()}
    if isinstance(value, Secret):
        return value.reveal() if reveal else MASK
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def explain(session: Session, key: str, *, as_json: bool) -> None:
    """Say where a value came from."""
    setting = _setting(key)
    explanation = session.config.explain(key)
    if as_json:
        say_json(explanation.to_json())
        return
    say_fields(
        [
            ("key", key),
            ("value", _text(explanation.value)),
            ("layer", explanation.layer),
            ("from", None if explanation.source is None else explanation.origin),
            *(("instead of", origin) for origin in explanation.overridden),
            ("variable", setting.variable),
            ("default", _text(setting.default)),
            ("expected", setting.expected),
            ("a change", setting.cure.told),
            ("meaning", setting.spec["description"]),
        ]
    )


def set_value(session: Session, key: str, value: str, *, as_json: bool) -> None:
    """Write one setting into the file."""
    setting = _setting(key)
    if value == "-":
        value = sys.stdin.read().removesuffix("\n")
    elif setting.is_secret:
        raise UsageError(
            f"{key} is secret and other users can see a command's arguments",
            hint=f"give - and the value on standard input, or set {setting.from_file or key} to"
            " a file's path",
        )
    try:
        coerced = coerce(value, setting)
    except CoercionError as fault:
        raise UsageError(f"the value for {key} {fault}", hint=f"give {setting.expected}") from None
    config = session.config
    config.set(key, coerced)
    path = config.save()
    in_force = config.explain(key)
    is_overridden = in_force.layer != "file"
    if as_json:
        say_json(
            {
                "key": key,
                "file": str(path),
                "overridden_by": str(in_force.origin) if is_overridden else None,
            }
        )
        return
    say(f"{path}: {key} is set")
    if is_overridden:
        sys.stderr.write(f"warning: {in_force.origin} still wins over the file\n")


def print_schema() -> None:
    """Print the schema."""
    say_json(config_schema().document)


def list_variables(session: Session, *, as_json: bool) -> None:
    """List the variables of all settings, and which are set."""
    settings = config_schema().settings.values()
    if as_json:
        say_json({"variables": [_variable(session, setting) for setting in settings]})
        return
    rows = [
        (s.variable, s.key, s.expected, "yes" if s.variable in session.environ else "no")
        for s in settings
    ]
    say_table(("VARIABLE", "KEY", "EXPECTED", "SET"), rows)


def _variable(session: Session, setting: Setting) -> dict[str, Any]:
    return {
        "variable": setting.variable,
        "key": setting.key,
        "expected": setting.expected,
        "secret": setting.is_secret,
        "set": setting.variable in session.environ,
    }


def diff(session: Session, *, as_json: bool) -> None:
    """Compare the running daemon's configuration with the files'."""
    # The daemon's environment is not this one's; what it gives no file can change.
    path, is_named = config_file(session.config_path, session.environ)
    files = ConfigManager.load(path if is_named else None, environ={}, check_files=False)
    found = differences(_running(session, files), files.snapshot())
    if as_json:
        say_json({"differences": [difference.to_json() for difference in found]})
    elif found:
        rows = [(d.key, _text(d.running), _text(d.files), d.needs) for d in found]
        say_table(("KEY", "RUNNING", "FILES", "NEEDS"), rows)
    else:
        say("the daemon runs with what its files say")


def _running(session: Session, config: ConfigManager) -> Mapping[str, Any]:
    from claude_flow.service.places import runtime_directories  # noqa: PLC0415 - psutil, D-Bus

    directories = list(runtime_directories(config, session.environ))
    for directory in directories:
        running = read_running(directory)
        if running is not None:
            return running
    places = ", ".join(map(str, directories))
    raise ServiceError(f"no daemon has left its configuration in {places}", hint="see that it runs")


def migrate_file(session: Session, *, write: bool, as_json: bool) -> None:
    """Give an older file today's names."""
    path, _ = config_file(session.config_path, session.environ)
    try:
        document = parse(read_text(path).text)
    except (FileFaultError, JsonFaultError) as fault:
        raise UsageError(f"{path} {fault}", hint="claude-flowctl config check says more") from None
    if not isinstance(document, dict):
        raise UsageError(f"{path} is not a JSON object")
    migration = migrate(config_schema(), document)
    if write and migration.changes:
        write_document(path, migration.document)
    if as_json:
        say_json({"document": migration.document, "changes": list(migration.changes)})
        return
    for change in migration.changes or ("nothing to change",):
        sys.stderr.write(f"{change}\n")
    if not write:
        sys.stdout.write(json.dumps(migration.document, indent=2, ensure_ascii=False) + "\n")


def _setting(key: str) -> Setting:
    try:
        return config_schema().settings[key]
    except KeyError:
        raise _unknown(key) from None


def _unknown(key: str) -> UsageError:
    near = nearest_key(config_schema(), key)
    hint = f"did you mean {near}?" if near else "claude-flowctl config env lists all settings"
    return UsageError(f"{key} is not a setting", hint=hint)
