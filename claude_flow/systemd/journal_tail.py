"""The end of a unit's journal, through systemd's own library."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC
from itertools import islice
from typing import Any

from systemd import journal

from claude_flow.errors import ServiceError
from claude_flow.ports import JournalLine

_INFO = 6


class SystemdJournal:
    """The port ``Journal`` on the host's journal files."""

    def tail(self, unit: str, namespace: str | None, lines: int) -> list[JournalLine]:
        """See ``Journal.tail``."""
        # systemd speaks of the unit in the host's own journal, wherever the unit itself logs.
        own, about = [("_SYSTEMD_UNIT", unit)], [("_PID", "1"), ("UNIT", unit)]
        if namespace is None:
            return _latest(None, [own, about], lines)
        both = heapq.merge(
            _latest(namespace, [own], lines),
            _latest(None, [about], lines),
            key=lambda line: line.at,
        )
        return list(both)[-lines:]


def _latest(
    namespace: str | None, alternatives: list[list[tuple[str, str]]], count: int
) -> list[JournalLine]:
    try:
        with closing(journal.Reader(namespace=namespace)) as reader:
            for number, matches in enumerate(alternatives):
                if number:
                    reader.add_disjunction()
                for field, value in matches:
                    reader.add_match(**{field: value})
            reader.seek_tail()
            entries = list(islice(_backwards(reader), count))
    except OSError as error:
        where = f"the journal's namespace {namespace}" if namespace else "the journal"
        raise ServiceError(
            f"{where} cannot be read: {error.strerror or error}",
            hint="members of the groups adm and systemd-journal may read it",
        ) from error
    return [_line(entry) for entry in reversed(entries)]


def _backwards(reader: journal.Reader) -> Iterator[Mapping[str, Any]]:
    while entry := reader.get_previous():
        yield entry


def _line(entry: Mapping[str, Any]) -> JournalLine:
    return JournalLine(
        at=entry["__REALTIME_TIMESTAMP"].astimezone(UTC),
        priority=int(entry.get("PRIORITY", _INFO)),
        identifier=str(entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM") or ""),
        message=str(entry.get("MESSAGE", "")),
        run_id=entry.get("CLAUDE_FLOW_RUN_ID"),
    )
