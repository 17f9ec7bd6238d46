"""``claude-flow-service``: the daemon's entry point."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from claude_flow import journal
from claude_flow.config import ConfigManager
from claude_flow.errors import ClaudeFlowError
from claude_flow.version import __version__


def main() -> None:
    """Run the command line's wish and leave with its exit code."""
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """The exit code: 0 fine, 1 failed, 2 wrong usage, 75 try again, 78 configuration invalid."""
    wish = _parser().parse_args(arguments)
    try:
        config = ConfigManager.load(wish.config, environ=environ, startable=True)
        for warning in config.warnings:
            _say(f"claude-flow-service: warning: {warning}", sys.stderr)
        if wish.check:
            _require_sandbox(config, environ)
            _say(f"{config.path}: the configuration is valid", sys.stdout)
            return 0
        return _serve(config, environ, once=wish.once)
    except ClaudeFlowError as error:
        _say(f"claude-flow-service: {journal.redactor.redact(str(error))}", sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _require_sandbox(config: ConfigManager, environ: Mapping[str, str]) -> None:
    # Late: it loads half the service, and few configurations insist on a sandbox.
    if config.get("execution.sandbox") == "required" or config.get("execution.network") != "open":
        from claude_flow.bootstrap import sandbox_of  # noqa: PLC0415

        sandbox_of(config, environ).check()


def _serve(config: ConfigManager, environ: Mapping[str, str], *, once: bool) -> int:
    # Late: --check and a wrong configuration need neither the engine nor GitHub.
    from claude_flow.daemon.service import Daemon  # noqa: PLC0415
    from claude_flow.daemon.starting import wait_out_restarts  # noqa: PLC0415
    from claude_flow.service import ServiceManager  # noqa: PLC0415
    from claude_flow.systemd.notify import Notifier  # noqa: PLC0415

    journal.configure(config.get("service.log_level"), environ=environ)
    journal.redactor.add(*config.snapshot().secrets())
    # The watchdog's SIGABRT then says where every thread hangs.
    faulthandler.enable()
    notifier = Notifier(environ)

    async def serve() -> int:
        await wait_out_restarts(ServiceManager(config, environ=environ), notifier)
        return await Daemon(config, notifier, environ=environ, once=once).run()

    return asyncio.run(serve())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="claude-flow-service",
        description="Turns labelled GitHub issues into pull requests.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")
    parser.add_argument(
        "--once", action="store_true", help="poll once, work off what was found, then leave"
    )
    parser.add_argument(
        "--check", action="store_true", help="validate the configuration, then leave"
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _say(text: str, stream: TextIO) -> None:
    print(text, file=stream)


if __name__ == "__main__":
    main()
