"""Logging: every record with the run it belongs to, to the journal or one line on stderr.

Nothing secret leaves through here: known secrets and texts shaped like tokens are masked in
messages, arguments, tracebacks and extra fields alike, whichever library logged them.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO, cast
from urllib.parse import quote

MASK = "***"
# What is shorter could be any word; a mask over it would make the log unreadable.
_SHORTEST_SECRET = 4
# A line of a multi-line secret (a private key) that may stand alone, in bytes of base64.
_SHORTEST_LINE = 16

_SHAPES = re.compile(
    r"""
      \bgithub_pat_[A-Za-z0-9_]{10,}
    | \bgh[opusr]_[A-Za-z0-9_.\-]{10,}     # ghs_ in its long form holds dots and hyphens
    | \bsk-ant-[A-Za-z0-9_\-]{6,}
    | \beyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]{8,}){2}  # a JWT, as a GitHub App signs them
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z)
    | (?<=://)[^/\s:@]*:[^/\s@]+(?=@)      # user:password of an address
    | (?i:(?<=bearer[ ])|(?<=basic[ ])|(?<=authorization:[ ]token[ ]))[A-Za-z0-9._~+/\-]{20,}=*
    """,
    re.VERBOSE | re.DOTALL,
)

_THIRD_PARTY = ("dbos", "uvicorn", "uvicorn.error", "uvicorn.access", "urllib3", "asyncio")
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",  # uvicorn's own text once more, with colours
}

# --- redaction ------------------------------------------------------------------------------


class Redactor:
    """Masks secrets in text: those it was told of, and what is shaped like a token."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Mask these from now on, also as they look quoted, escaped or in Basic credentials."""
        with self._lock:
            new = [secret for secret in secrets if secret.strip() not in self._known]
            for secret in new:
                self._known.update(_appearances(secret))
            if new:
                self._compile()

    def forget(self, *secrets: str) -> None:
        """Mask these no longer: they have expired, and a daemon must not remember all of them."""
        with self._lock:
            for secret in secrets:
                self._known.difference_update(_appearances(secret))
            self._compile()

    def _compile(self) -> None:
        # The longest first, or a secret that begins with another would show its end.
        longest_first = sorted(self._known, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if self._known else None

    def redact(self, text: str) -> str:
        """The text with every secret replaced by ``***``."""
        pattern = self._pattern
        if pattern is not None:
            text = pattern.sub(MASK, text)
        return _SHAPES.sub(MASK, text)


def _appearances(secret: str) -> Iterator[str]:
    secret = secret.strip()
    if len(secret) < _SHORTEST_SECRET:
        return
    yield secret
    yield quote(secret, safe="")
    yield repr(secret)[1:-1]
    for credentials in (f"x-access-token:{secret}", f":{secret}", secret):
        yield base64.b64encode(credentials.encode()).decode().rstrip("=")
    for line in secret.splitlines():
        if len(line.strip()) >= _SHORTEST_LINE:
            yield line.strip()


redactor = Redactor()
"""The program's own; ``redactor.add`` every secret as soon as it is known."""

# --- the run a record belongs to ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Context:
    run_id: str | None = None
    issue: str | None = None
    phase: str | None = None

    def fields(self) -> dict[str, str]:
        named = (("run_id", self.run_id), ("issue", self.issue), ("phase", self.phase))
        return {name: value for name, value in named if value is not None}


_context: ContextVar[_Context] = ContextVar("claude_flow_run", default=_Context())  # noqa: B039 - it is frozen


@contextmanager
def run_context(
    run_id: str | None = None, issue: str | None = None, phase: str | None = None
) -> Iterator[None]:
    """Mark what is logged inside as the run's; what is left out stays as it is around it.

    Holds in this task or thread, in tasks begun inside and in ``asyncio.to_thread``.
    """
    given = _Context(run_id, issue, phase).fields()
    token = _context.set(replace(_context.get(), **given))
    try:
        yield
    finally:
        _context.reset(token)


# --- handlers -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """A record with nothing secret left; ``fields`` hold the run and the record's extras."""

    at: float
    level: int
    level_name: str
    logger: str
    message: str
    fields: Mapping[str, str]
    file: str
    line: int
    function: str | None


class RedactingHandler(logging.Handler):
    """Hands each record, masked and with its run, to ``write``."""

    def __init__(self, write: Callable[[Entry], None], redact: Callable[[str], str]) -> None:
        super().__init__()
        self._write = write
        self._redact = redact
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a failure is told by ``handleError``, as in every handler."""
        try:
            self._write(self._entry(record))
        except Exception:  # noqa: BLE001 - an argument's __str__ may raise anything
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say where a record was lost. The inherited one would print its raw arguments."""
        error = sys.exc_info()[0]
        name = error.__name__ if error else "an error"
        text = f"a log record of {record.pathname}:{record.lineno} was lost: {name}\n"
        if logging.raiseExceptions and sys.stderr:
            sys.stderr.write(text)

    def _entry(self, record: logging.LogRecord) -> Entry:
        parts = [record.getMessage()]
        if record.exc_info and record.exc_info[0]:
            parts.append(self._formatter.formatException(record.exc_info))
        elif record.exc_text:
            parts.append(record.exc_text)
        if record.stack_info:
            parts.append(record.stack_info)
        extras = {name: str(value) for name, value in vars(record).items() if name not in _PLAIN}
        fields = extras | _context.get().fields()
        return Entry(
            at=record.created,
            level=record.levelno,
            level_name=record.levelname,
            logger=record.name,
            message=self._redact("\n".join(parts)),
            fields={name: self._redact(value) for name, value in fields.items()},
            file=record.pathname,
            line=record.lineno,
            function=record.funcName,
        )


def line_writer(stream: TextIO) -> Callable[[Entry], None]:
    """Write one line per entry, with its time in UTC and ``name=value`` at the end."""

    def write(entry: Entry) -> None:
        at = datetime.fromtimestamp(entry.at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        fields = "".join(f" {name}={value}" for name, value in entry.fields.items())
        line = f"{at}Z {entry.level_name:<7} {entry.logger}: {entry.message}{fields}"
        # Neither a traceback nor a stranger's text may begin a line of its own.
        stream.write(line.translate(_CONTROLS) + "\n")
        stream.flush()

    return write


_CONTROLS = {
    code: {10: "\\n", 13: "\\r", 9: "\\t"}.get(code, f"\\x{code:02x}")
    for code in (*range(32), *range(127, 160), 0x2028, 0x2029)
}


def journal_writer(send: Callable[..., object], identifier: str) -> Callable[[Entry], None]:
    """Write journal entries with the fields CLAUDE_FLOW_RUN_ID, _ISSUE and _PHASE."""

    def write(entry: Entry) -> None:
        fields = {
            f"CLAUDE_FLOW_{re.sub(r'[^A-Z0-9]', '_', name.upper())}": value
            for name, value in entry.fields.items()
        }
        send(
            entry.message,
            PRIORITY=str(_priority(entry.level)),
            SYSLOG_IDENTIFIER=identifier,
            LOGGER=entry.logger,
            CODE_FILE=entry.file,
            CODE_LINE=entry.line,
            CODE_FUNC=entry.function,
            **fields,
        )

    return write


def _priority(level: int) -> int:
    """The syslog priority of a logging level."""
    steps = ((logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3))
    return next((priority for bound, priority in steps if level <= bound), 2)


# --- set-up ---------------------------------------------------------------------------------


def configure(
    level: str,
    *,
    environ: Mapping[str, str],
    identifier: str = "claude-flow",
    stream: TextIO | None = None,
) -> None:
    """Send every logger of the program, and uncaught errors, through one masked handler.

    To the journal if ``stream`` (standard error by default) is connected to it, as
    JOURNAL_STREAM in ``environ`` tells, else to ``stream`` itself. ``level`` is a level's
    name; libraries are heard from WARNING up, unless it is DEBUG. May be called again.
    """
    stream = sys.stderr if stream is None else stream
    if _is_journal(stream, environ.get("JOURNAL_STREAM", "")):
        from systemd import journal  # noqa: PLC0415 - only a service needs it

        write = journal_writer(journal.send, identifier)
    else:
        write = line_writer(stream)
    handler = RedactingHandler(write, redactor.redact)
    logging.captureWarnings(capture=True)
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("claude_flow").setLevel(level)
    for name in _THIRD_PARTY:
        # Some bring handlers of their own, and dbos adds one unless it finds one.
        library = logging.getLogger(name)
        library.handlers[:] = [handler]
        library.propagate = False
        library.setLevel(level if level == "DEBUG" else logging.WARNING)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def set_level(level: str) -> None:
    """Change the level of the program's own loggers while it runs."""
    logging.getLogger("claude_flow").setLevel(level)


def _is_journal(stream: TextIO, journal_stream: str) -> bool:
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # not a file, or closed
        return False
    return journal_stream == f"{status.st_dev}:{status.st_ino}"


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("claude_flow").critical("uncaught error", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(args: Any) -> None:
    name = args.thread.name if args.thread else "a thread"
    if args.exc_value is None:
        return
    info = (cast("type[BaseException]", args.exc_type), args.exc_value, args.exc_traceback)
    logging.getLogger("claude_flow").critical("uncaught error in %s", name, exc_info=info)
