"""A scripted agent: makes the edits an issue asks for in so many words (see ``plan``).

``python -m claude_flow.testing.agent``: the prompt on standard input, the workspace as working
directory, stream-json on standard output. It calls no model, so its tokens and cost are 0.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from claude_flow.testing.plan import Edit, PlanError, Write, edits_in

_NO_USAGE = {"input_tokens": 0, "output_tokens": 0}


class ScriptedAgent:
    """Works through a prompt; ``pause`` is called before each edit and before the end."""

    def __init__(
        self, directory: Path, out: TextIO, pause: Callable[[], None], session: str
    ) -> None:
        self._directory = directory
        self._out = out
        self._pause = pause
        self._session = session
        self._turns = 0

    def work(self, prompt: str) -> int:
        """Make the edits and tell of them; the exit code."""
        self._emit({"type": "system", "subtype": "init", "cwd": str(self._directory)})
        edits = edits_in(prompt)
        try:
            for edit in edits:
                self._pause()
                self._say(_call(edit))
                edit.apply(self._directory)
        except PlanError as error:
            return self._end(str(error), is_error=True)
        self._pause()
        names = ", ".join(f"`{edit.path}`" for edit in edits)
        summary = f"Changed {names} as the issue asks." if edits else "Found no edit to make."
        self._say({"type": "text", "text": summary})
        return self._end(summary, is_error=False)

    def _say(self, block: dict[str, Any]) -> None:
        self._turns += 1
        message = {"role": "assistant", "content": [block], "usage": _NO_USAGE}
        self._emit({"type": "assistant", "message": message})

    def _end(self, text: str, *, is_error: bool) -> int:
        self._emit(
            {
                "type": "result",
                "subtype": "error_during_execution" if is_error else "success",
                "is_error": is_error,
                "result": text,
                "num_turns": self._turns,
                "total_cost_usd": 0.0,
                "usage": _NO_USAGE,
                "permission_denials": [],
            }
        )
        return 1 if is_error else 0

    def _emit(self, event: dict[str, Any]) -> None:
        self._out.write(json.dumps(event | {"session_id": self._session}) + "\n")
        self._out.flush()


def _call(edit: Edit) -> dict[str, Any]:
    if isinstance(edit, Write):
        given = {"file_path": edit.path, "content": edit.text}
        return {"type": "tool_use", "name": "Write", "input": given}
    given = {"file_path": edit.path, "old_string": edit.old, "new_string": edit.new}
    return {"type": "tool_use", "name": "Edit", "input": given}


def main(argv: Sequence[str] | None = None) -> int:
    """Read the prompt, work, leave with 0, or 1 if an edit cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m claude_flow.testing.agent")
    parser.add_argument(
        "--pause", type=float, default=0.0, help="seconds before each step, so that one can watch"
    )
    options = parser.parse_args(argv)
    agent = ScriptedAgent(
        Path.cwd(), sys.stdout, lambda: time.sleep(options.pause), str(uuid.uuid4())
    )
    return agent.work(sys.stdin.read())


if __name__ == "__main__":
    sys.exit(main())
