from __future__ import annotations

import asyncio
import base64
import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow import journal

SECRET = "hunter2-Zq/81+x&y"
TOKENS = [
    "ghp_" + "a1B2" * 9,
    "gho_" + "a1B2" * 9,
    "ghs_" + "a1B2" * 9,
    "ghs_1234567_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOjF9.c2ln-bmF0dXJl_" + "x" * 400,
    "github_pat_" + "11ABCDEFG0" * 5,
    "sk-ant-api03-" + "Ab_-9" * 10,
]


class LoudError(RuntimeError):
    def __str__(self) -> str:
        return f"refused {SECRET}"


def quiet_logger() -> logging.Logger:
    """A logger that pytest's own handlers do not hear."""
    return logging.Logger("case", logging.DEBUG)  # noqa: LOG001 - outside the tree on purpose


class Log:
    """A logger of its own whose only handler is the one under test."""

    def __init__(self, writer: Callable[[io.StringIO], Callable[[journal.Entry], None]]) -> None:
        self.stream = io.StringIO()
        redactor = journal.Redactor([SECRET])
        self.handler = journal.RedactingHandler(writer(self.stream), redactor.redact)
        self.logger = quiet_logger()
        self.logger.addHandler(self.handler)

    @property
    def text(self) -> str:
        return self.stream.getvalue()


@pytest.fixture(params=["line", "journal"])
def log(request: pytest.FixtureRequest) -> Log:
    def to_journal(stream: io.StringIO) -> Callable[[journal.Entry], None]:
        def send(message: str, **fields: Any) -> None:
            stream.write(f"MESSAGE={message}\n")
            stream.writelines(f"{name}={value}\n" for name, value in fields.items())

        return journal.journal_writer(send, "claude-flow")

    return Log(journal.line_writer if request.param == "line" else to_journal)


def refuse() -> None:
    raise LoudError


def raise_and_log(log: Log) -> None:
    try:
        refuse()
    except LoudError:
        log.logger.exception("it went wrong with %s", SECRET)


LEAKS: dict[str, Callable[[Log], None]] = {
    "message": lambda log: log.logger.info("token is " + SECRET),  # noqa: G003 - the case
    "argument": lambda log: log.logger.info("token is %s", SECRET),
    "mapping": lambda log: log.logger.info("%(a)s", {"a": SECRET}),
    "object": lambda log: log.logger.info("%r", {"Authorization": f"token {SECRET}"}),
    "bytes": lambda log: log.logger.info("%s", SECRET.encode()),
    "exception": raise_and_log,
    "extra": lambda log: log.logger.info("plain", extra={"header": {"X": SECRET}}),
    "quoted": lambda log: log.logger.info("GET /?t=%s", quote(SECRET, safe="")),
    "basic": lambda log: log.logger.info(
        "Basic %s", base64.b64encode(f"x-access-token:{SECRET}".encode()).decode()
    ),
    "stack": lambda log: log.logger.info("here %s", SECRET, stack_info=True),
    "bad arguments": lambda log: log.logger.info("%d", SECRET),
    "raising argument": lambda log: log.logger.info("%s", LoudError(SECRET), extra={"n": 1}),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_known_secret_never_leaves(
    log: Log, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    LEAKS[name](log)
    written = log.text + "".join(capsys.readouterr())
    assert written
    assert "hunter2" not in written
    assert quote(SECRET, safe="") not in written
    assert "Zq/81" not in written


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_nobody_registered_is_known_by_its_shape(log: Log, token: str) -> None:
    log.logger.warning("pushing with %s now", token)
    assert token[8:] not in log.text
    assert "now" in log.text


def test_an_address_loses_its_password_and_keeps_its_host(log: Log) -> None:
    log.logger.info("cloning https://x-access-token:s3cr3t@git.example/a/b.git")
    assert "s3cr3t" not in log.text
    assert "git.example/a/b.git" in log.text


def test_each_line_of_a_private_key_is_masked() -> None:
    lines = ["-----BEGIN RSA PRIVATE KEY-----", "QUJD" * 16, "REVG" * 16]
    key = "\n".join([*lines, "-----END RSA PRIVATE KEY-----"])
    redactor = journal.Redactor([key])
    assert redactor.redact(f"line 2 is {lines[1]}") == "line 2 is ***"
    assert "QUJD" not in redactor.redact(repr(key))
    assert "QUJD" not in journal.Redactor().redact(f"key: {key}")


def test_words_that_are_no_secrets_stay() -> None:
    text = "basic configuration of ghost_writer, sk-antique, 14:30 at http://127.0.0.1:8787/"
    assert journal.Redactor(["", "abc"]).redact(text) == text


@given(
    st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=6)),
    st.text(),
    st.text(),
)
def test_no_registered_secret_survives_in_any_text(
    secrets: list[str], before: str, after: str
) -> None:
    redactor = journal.Redactor(secrets)
    for secret in secrets:
        if secret not in before and secret not in after and "*" not in secret:
            text = redactor.redact(f"{before} {secret} {after}")
            assert secret not in text


def test_a_record_is_one_line_that_no_text_can_break() -> None:
    line = Log(journal.line_writer)
    line.logger.info("title: %s", "a\r\n2026-01-01T00:00:00.000Z ERROR forged\x1b[31m")
    raise_and_log(line)
    assert len(line.text.splitlines()) == 2
    assert "\x1b" not in line.text


def test_what_is_logged_in_a_run_carries_it(log: Log) -> None:
    with journal.run_context(run_id="widgets-7-abc", issue="o/widgets#7"):
        with journal.run_context(phase="executing"):
            log.logger.info("inside")
        log.logger.info("after")
    log.logger.info("outside")
    inside, rest = log.text.split("after")
    for name, value in (("run_id", "widgets-7-abc"), ("issue", "o/widgets#7")):
        key = name if log.text.startswith("2") else f"CLAUDE_FLOW_{name.upper()}"
        assert f"{key}={value}" in inside
        assert f"{key}={value}" in rest
        assert log.text.count(f"{key}={value}") == 2
    assert "executing" in inside
    assert "executing" not in rest


async def test_runs_side_by_side_keep_their_own_marks() -> None:
    log = Log(journal.line_writer)

    async def work(run_id: str) -> None:
        with journal.run_context(run_id=run_id):
            await asyncio.sleep(0)
            await asyncio.to_thread(log.logger.info, "working on %s.", run_id)

    await asyncio.gather(*(work(f"run-{number}") for number in range(5)))
    for number in range(5):
        assert f"working on run-{number}. run_id=run-{number}\n" in log.text


def test_journal_entries_have_the_fields_operators_search_for() -> None:
    sent: list[tuple[str, dict[str, Any]]] = []
    write = journal.journal_writer(
        lambda message, **fields: sent.append((message, fields)), "claude-flow"
    )
    logger = quiet_logger()
    logger.addHandler(journal.RedactingHandler(write, str))
    with journal.run_context("r-1-a", "o/r#1", "publishing"):
        logger.error("refused", extra={"pull_request": 7})
    [(message, fields)] = sent
    assert message == "refused"
    assert fields["PRIORITY"] == "3"
    assert fields["SYSLOG_IDENTIFIER"] == "claude-flow"
    assert fields["CLAUDE_FLOW_RUN_ID"] == "r-1-a"
    assert fields["CLAUDE_FLOW_ISSUE"] == "o/r#1"
    assert fields["CLAUDE_FLOW_PHASE"] == "publishing"
    assert fields["CLAUDE_FLOW_PULL_REQUEST"] == "7"


_PROGRAM = """
import logging, os, sys, threading, warnings
from claude_flow import journal
journal.redactor.add("hunter2-Zq")
journal.configure(sys.argv[1], environ=os.environ)
logging.getLogger("claude_flow.a").debug("ours %s", "hunter2-Zq")
for name in ("dbos", "uvicorn.error", "urllib3.connectionpool", "some.library"):
    logging.getLogger(name).warning("%s says hunter2-Zq", name)
    logging.getLogger(name).info("chatter of %s", name)
warnings.warn("old hunter2-Zq")
thread = threading.Thread(target=lambda: 1 / 0, name="side")
thread.start(); thread.join()
raise ValueError("hunter2-Zq")
"""


def run_program(level: str, environ: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, level],
        env=dict(os.environ) | (environ or {}),
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def test_a_whole_program_logs_through_one_masked_handler() -> None:
    text = run_program("DEBUG")
    assert "hunter2" not in text
    assert "claude_flow.a: ours ***" in text
    for name in ("dbos", "uvicorn.error", "urllib3.connectionpool", "some.library"):
        assert text.count(f"{name} says ***") == 1
    assert "uncaught error in side" in text
    assert "ValueError: ***" in text
    assert all(line[:2] == "20" for line in text.splitlines())


def test_libraries_are_quiet_below_warning_at_info() -> None:
    text = run_program("INFO")
    assert "chatter" not in text
    assert "ours" not in text


def test_a_stale_journal_stream_does_not_swallow_the_log() -> None:
    assert "dbos says" in run_program("INFO", {"JOURNAL_STREAM": "1:2"})
