"""Has templates filled in by a process that a mistake in them can only end."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from claude_flow.errors import ProcessTimedOutError
from claude_flow.ports import Processes
from claude_flow.workflow_file.faults import Fault, invalid
from claude_flow.workflow_file.plan import Template

_TIMEOUT_SECONDS = 60.0


class Renderer:
    """Renders repositories' templates."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    async def render(self, template: Template, variables: Mapping[str, Any]) -> str:
        """The prompt. Raises WorkflowFileError for a mistake in the template, ProcessError."""
        request = {"text": template.text, "variables": variables}
        try:
            done = await self._processes.run(
                (sys.executable, "-I", "-m", "claude_flow.workflow_file.render_process"),
                cwd=Path("/"),
                env={"LC_ALL": "C.UTF-8"},
                stdin=json.dumps(request).encode(),
                timeout_seconds=_TIMEOUT_SECONDS,
            )
        except ProcessTimedOutError as error:
            raise _mistake(template, 1, "takes too long") from error
        if done.exit_code != 0:
            raise _mistake(template, 1, "takes too long or too much memory")
        answer = json.loads(done.stdout)
        if "prompt" not in answer:
            raise _mistake(template, answer["line"], answer["mistake"])
        return str(answer["prompt"])


def _mistake(template: Template, line: int, what: str) -> Exception:
    fault = Fault(template.first_line + line - 1, f"in the template: {what}")
    return invalid(template.path, [fault])
