"""Claude Code's sessions: where one is kept, and whether it can be gone on with.

A transcript is ``projects/<working directory>/<id>.jsonl`` in CLAUDE_CONFIG_DIR, found by its id
alone. The agent could write anything there. Measured with 2.1.330: from an empty transcript, or
one without a conversation, nothing comes but an error; a process that was killed may leave half
a line at the end.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import BinaryIO

from claude_flow.agents.surroundings import Scratch
from claude_flow.guest_files import names_below, open_below
from claude_flow.ports import AgentSession, Excerpt

_log = logging.getLogger(__name__)

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LONGEST_BYTES = 50 * 1024 * 1024
_LONGEST_LINE_BYTES = 8 * 1024 * 1024
_MOST_PROJECTS = 1_000
_CONVERSATION = frozenset({"user", "assistant"})


class _UnusableError(Exception):
    """Why a session cannot be gone on with."""


def find_transcript(session: AgentSession) -> Excerpt | None:
    """The transcript as far as it is whole, or None; the log says what becomes of it."""
    try:
        found = _find(session)
    except (_UnusableError, OSError) as error:
        _log.warning(
            "the agent's session %.80r cannot be gone on with, so a new one begins: %s",
            session.id,
            error,
        )
        return None
    _log.info("the agent's session %s goes on", session.id)
    return found


def _find(session: AgentSession) -> Excerpt:
    if not _ID.fullmatch(session.id):
        raise _UnusableError("its id is no UUID")
    top = Scratch(session.scratch).claude
    for project in names_below(top, Path("projects"), at_most=_MOST_PROJECTS):
        path = Path("projects", project, f"{session.id}.jsonl")
        try:
            file = open_below(top, path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        with file:
            return Excerpt(top, path, _whole_bytes(file, session.id))
    raise _UnusableError(f"there is no transcript of it in {top}")


def _whole_bytes(file: BinaryIO, session_id: str) -> int:
    """How many bytes the whole lines take, all of them events and some a conversation."""
    length, speaks = 0, False
    while (line := file.readline(_LONGEST_LINE_BYTES)).endswith(b"\n"):
        length += len(line)
        if length > _LONGEST_BYTES:
            raise _UnusableError(f"its transcript is longer than {_LONGEST_BYTES} bytes")
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise _UnusableError(
                f"its transcript holds something else at byte {length - len(line)}"
            )
        speaks = speaks or (
            event.get("type") in _CONVERSATION and event.get("sessionId") == session_id
        )
    if len(line) == _LONGEST_LINE_BYTES:
        raise _UnusableError(f"its transcript has a line of over {_LONGEST_LINE_BYTES} bytes")
    if not speaks:
        raise _UnusableError("its transcript holds no conversation")
    return length
