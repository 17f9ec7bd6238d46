"""``python -m claude_flow.workflow_file.render_process``: fills one template in and ends.

Standard input: ``{"text", "variables"}``. Standard output: ``{"prompt"}`` or ``{"line",
"mistake"}``.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

from claude_flow.workflow_file.rendering import Mistake, render

_CPU_SECONDS = 10
_MEMORY_BYTES = 512 * 1024 * 1024


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What is written for one request."""
    try:
        return {"prompt": render(request["text"], request["variables"])}
    except Mistake as mistake:
        return {"line": mistake.line, "mistake": mistake.what}
    except MemoryError:
        return {"line": 1, "mistake": "takes too much memory"}


def main() -> None:
    """Bound this process, then do it."""
    request = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    json.dump(answer(request), sys.stdout)


if __name__ == "__main__":
    main()
