"""``claude-flowctl doctor``: all checks in order, printed as they come."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import typer

from claude_flow.cli.doctor import configuration, database, github, host, programs, systemd
from claude_flow.cli.doctor.configuration import CREDENTIALS
from claude_flow.cli.doctor.finding import Finding, Grade, told
from claude_flow.cli.output import say, say_json, say_verdict
from claude_flow.cli.session import Session
from claude_flow.errors import EXIT_FAILED
from claude_flow.service import ServiceManager

_COLOURS = {Grade.FINE: "green", Grade.WARN: "yellow", Grade.FAIL: "red"}


def doctor(session: Session, *, as_json: bool, credentials_directory: Path = CREDENTIALS) -> None:
    """Print every finding; leave with 1 if one is a failure. Raises ConfigError."""
    session = _with_credentials(session, credentials_directory)
    session.config.require_startable(credential=False)
    findings: list[Finding] = []
    for finding in _examine(session, sees_secrets=_sees_secrets(session, credentials_directory)):
        findings.append(finding)
        if not as_json:
            _say_finding(finding)
    if as_json:
        say_json({"findings": [_to_json(finding) for finding in findings]})
    if any(finding.grade is Grade.FAIL for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def _with_credentials(session: Session, directory: Path) -> Session:
    """The same, with the secrets that systemd gives the daemon, if this user may read them."""
    may_read = os.access(directory, os.R_OK | os.X_OK)
    if "CREDENTIALS_DIRECTORY" in session.environ or not may_read:
        return session
    environ = {**session.environ, "CREDENTIALS_DIRECTORY": str(directory)}
    return Session(session.config_path, environ)


def _sees_secrets(session: Session, directory: Path) -> bool:
    return "CREDENTIALS_DIRECTORY" in session.environ or not directory.exists()


def _examine(session: Session, *, sees_secrets: bool) -> Iterator[Finding]:
    config, environ = session.config, session.environ
    yield from configuration.check(config, environ)
    yield from told("git", lambda: programs.check_git(config, environ))
    yield from told("agent", lambda: programs.check_agent(config, environ))
    yield from told("sandbox", lambda: programs.check_sandbox(config, environ))
    yield from host.check(config)
    yield from told("database", lambda: database.check(config, sees_secrets=sees_secrets))
    yield from told("github", lambda: github.check(config))
    manager = ServiceManager(config, environ=environ)
    yield from systemd.check(config, manager.status(journal_lines=0))


def _say_finding(finding: Finding) -> None:
    text = f"{finding.check}: {finding.text}"
    say_verdict("", finding.grade.ljust(4), _COLOURS[finding.grade], f"  {text}")
    if finding.hint and finding.grade is not Grade.FINE:
        say(f"      -> {finding.hint}")


def _to_json(finding: Finding) -> dict[str, str | None]:
    return {
        "check": finding.check,
        "status": finding.grade,
        "text": finding.text,
        "hint": finding.hint,
    }
