"""``claude-flow-run SPEC``: one agent attempt as its own process."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from claude_flow.errors import EXIT_FAILED, EXIT_USAGE
from claude_flow.execution.guard import guarded
from claude_flow.execution.lease import since_boot
from claude_flow.execution.spec import AttemptSpec
from claude_flow.execution.supervisor import Supervisor


def main() -> None:
    """Run the attempt that the only argument describes; leave with 0 once its result is written."""
    match sys.argv[1:]:
        case [spec]:
            sys.exit(_run(Path(spec)))
        case _:
            print("usage: claude-flow-run SPEC (the service calls it, not people)", file=sys.stderr)  # noqa: T201 - an entry point's one line
            sys.exit(EXIT_USAGE)


def _run(path: Path) -> int:
    try:
        spec = AttemptSpec.read(path)
    except (OSError, ValueError, TypeError, KeyError) as error:
        print(f"claude-flow-run: cannot read the spec {path}: {error}", file=sys.stderr)  # noqa: T201 - likewise
        return EXIT_USAGE

    def work() -> int:
        result = Supervisor(spec, clock=time.monotonic, since_boot=since_boot).run()
        result.write(spec.files.result, in_place=spec.files_are_given)
        return 0

    try:
        return guarded(work, grace_seconds=spec.grace_seconds)
    except OSError as error:
        print(f"claude-flow-run: {spec.directory}: {error}", file=sys.stderr)  # noqa: T201 - likewise
        return EXIT_FAILED


if __name__ == "__main__":
    main()
