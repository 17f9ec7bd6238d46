"""Checks a host end to end and says how to mend what is wrong."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

import typer

from claude_flow.bootstrap import agent_of, login_of, make_github, open_record, space_watch
from claude_flow.cli.output import say, say_json
from claude_flow.cli.session import Session
from claude_flow.errors import EXIT_FAILED, ClaudeFlowError
from claude_flow.github import AppInstallation
from claude_flow.model.issue import Repository
from claude_flow.ports import GitHub, UnitState
from claude_flow.service import ServiceManager, ServiceStatus, Verdict


class Grade(StrEnum):
    """How a check ended; a warning does not fail the whole."""

    FINE = "pass"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it."""

    check: str
    grade: Grade
    text: str
    hint: str | None = None


def doctor(session: Session, *, as_json: bool) -> None:
    """Print every finding; leave with 1 if one is a failure. Raises ConfigError."""
    session.config.require_startable(credential=False)
    findings: list[Finding] = []
    for finding in _examine(session):
        findings.append(finding)
        if not as_json:
            _say_finding(finding)
    if as_json:
        say_json({"findings": [_to_json(finding) for finding in findings]})
    if any(finding.grade is Grade.FAIL for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def _examine(session: Session) -> Iterator[Finding]:
    config = session.config
    yield Finding("configuration", Grade.FINE, f"{config.path} is valid")
    for warning in config.warnings:
        yield Finding("configuration", Grade.WARN, warning)
    yield _git(session)
    yield from _told("agent", lambda: _agent(session))
    yield from _told("state", lambda: _state(session))
    yield from _told("record", lambda: _record(session))
    yield from _github(session)
    yield from _service(ServiceManager(config, environ=session.environ).status())


def _told(check: str, look: Callable[[], Finding]) -> Iterable[Finding]:
    """The finding, or the error it met as one."""
    try:
        return [look()]
    except ClaudeFlowError as error:
        return [Finding(check, Grade.FAIL, error.message, error.hint)]


def _git(session: Session) -> Finding:
    path = shutil.which("git", path=session.environ.get("PATH"))
    if path is None:
        return Finding("git", Grade.FAIL, "git is not on PATH", "install the package git")
    return Finding("git", Grade.FINE, path)


def _agent(session: Session) -> Finding:
    agent_of(session.config, session.environ).check()
    return Finding("agent", Grade.FINE, f"{session.config.get('claude_flow.agent')} can be started")


def _state(session: Session) -> Finding:
    directory = session.state_directory
    if not _is_directory(directory):
        return Finding(
            "state",
            Grade.WARN,
            f"{directory} does not exist yet",
            "the daemon makes it at its first start; the playbook gives it the right owner",
        )
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            "state",
            Grade.WARN,
            f"{directory} may not be used by this user",
            "run this as root or as the service's user to see more",
        )
    space = space_watch(session.config).look()
    if space.is_low:
        text = f"no new run starts: {space}"
        return Finding("state", Grade.WARN, text, "free some disk space")
    return Finding("state", Grade.FINE, f"{directory}, {space.free_bytes // 1024**3} GiB free")


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:
        return True  # something is there, behind a door


def _record(session: Session) -> Finding:
    try:
        runs = open_record(session.config).runs(limit=1)
    except PermissionError:
        text = "the record of runs may not be read by this user"
        return Finding("record", Grade.WARN, text, "try it with sudo")
    return Finding("record", Grade.FINE, f"readable, {'with' if runs else 'without'} runs")


def _github(session: Session) -> Iterator[Finding]:
    config = session.config
    is_app = config.get("github.app.id") is not None
    if config.secret("github.app.private_key_file" if is_app else "github.token") is None:
        what = "no key of the GitHub App" if is_app else "no token"
        yield Finding(
            "github",
            Grade.WARN,
            f"{what} is visible here, so GitHub was not asked",
            "if systemd gives it to the daemon, the finding 'health' tells whether it works",
        )
        return
    login = login_of(config)
    installation = login.installation()
    if installation is not None:
        yield from _told("github", partial(_app, installation))
    github = make_github(config, login)
    for name in config.get("github.repositories"):
        yield from _told("github", partial(_repository, github, Repository.parse(name)))


def _app(installation: AppInstallation) -> Finding:
    who = f"acting as {installation.login()}"
    lacks = installation.lacks()
    if lacks:
        return Finding(
            "github",
            Grade.FAIL,
            f"{who}, which may not do all it must: it lacks {', '.join(lacks)}",
            "grant it on the App's settings page, then accept it for the installation",
        )
    return Finding("github", Grade.FINE, who)


def _repository(github: GitHub, repository: Repository) -> Finding:
    found = github.repository(repository)
    if found.is_archived:
        text = f"{repository} is archived: nothing can be pushed there"
        return Finding("github", Grade.FAIL, text, "take it off github.repositories")
    if str(found.repository).lower() != str(repository).lower():
        text = f"{repository} is called {found.repository} now"
        return Finding("github", Grade.WARN, text, "put the new name into github.repositories")
    return Finding("github", Grade.FINE, f"{repository} can be read")


def _service(status: ServiceStatus) -> Iterator[Finding]:
    unit = status.unit
    if unit is None:
        text = status.unit_error or "systemd could not be asked"
        yield Finding("systemd", Grade.WARN, text, "without systemd nothing restarts the daemon")
    elif unit.load == "not-found":
        text = f"there is no unit {unit.unit}"
        yield Finding("systemd", Grade.FAIL, text, "deploy it with the playbook")
    else:
        yield _unit(unit)
    yield _health(status)


def _unit(unit: UnitState) -> Finding:
    text = f"{unit.unit} is {unit.active} ({unit.sub}), {unit.file}"
    if not unit.is_active:
        hint = "start it with: claude-flowctl start"
        if unit.active == "failed":
            text += f", {unit.result}, exit status {unit.exit_status}"
            hint = "see why with: claude-flowctl logs"
        return Finding("systemd", Grade.FAIL, text, hint)
    if unit.file != "enabled":
        hint = "it does not start at boot; mend it with: claude-flowctl enable"
        return Finding("systemd", Grade.WARN, text, hint)
    return Finding("systemd", Grade.FINE, text)


def _health(status: ServiceStatus) -> Finding:
    health = status.health
    text = f"{health.status} at {health.address}" if health.address else health.status
    told = [
        f"{name}: {result['output']}"
        for name, results in sorted(health.checks.items())
        for result in (results if isinstance(results, list) else [results])
        if isinstance(result, dict) and result.get("status") != "pass" and result.get("output")
    ]
    text = "; ".join([text, *told, *([health.detail] if health.detail else [])])
    if status.verdict is Verdict.HEALTHY:
        return Finding("health", Grade.WARN if health.status == "warn" else Grade.FINE, text)
    return Finding("health", Grade.FAIL, text, "see what it says with: claude-flowctl logs")


def _say_finding(finding: Finding) -> None:
    say(f"{finding.grade:<4}  {finding.check}: {finding.text}")
    if finding.hint and finding.grade is not Grade.FINE:
        say(f"      -> {finding.hint}")


def _to_json(finding: Finding) -> dict[str, str | None]:
    return {
        "check": finding.check,
        "status": finding.grade,
        "text": finding.text,
        "hint": finding.hint,
    }
