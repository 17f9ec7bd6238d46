from __future__ import annotations

import logging

from claude_flow.engine.logs import QuietFilter


def _record(message: str) -> logging.LogRecord:
    return logging.LogRecord("dbos", logging.WARNING, __file__, 1, message, None, None)


def test_an_attempt_cut_short_on_purpose_is_no_news() -> None:
    quiet = QuietFilter(lambda: 0.0)
    assert not quiet.filter(_record("Asyncio task cancelled for workflow or step x"))
    assert quiet.filter(_record("Something else"))


def test_a_repeated_message_is_said_once_a_minute() -> None:
    now = [0.0]
    quiet = QuietFilter(lambda: now[0])
    said = []
    for second in range(0, 130, 5):
        now[0] = float(second)
        message = f"Database connection failed: connection refused, is the server up? ({second})"
        if quiet.filter(_record(message)):
            said.append(second)
    assert said == [0, 60, 120]


def test_different_messages_do_not_hide_each_other() -> None:
    quiet = QuietFilter(lambda: 0.0)
    assert [quiet.filter(_record(text)) for text in ("one", "two", "one")] == [True, True, False]
