"""Make and remove targets.

``create`` makes the image if it is missing, starts a container of it and writes how to reach it
into the state directory: ``ssh_port``, ``ssh_key``, ``port_a`` and ``port_b`` (two free ports of
the loopback that it shares with this machine, for the stand-in for GitHub). ``standin`` starts
that. ``convert`` makes a virtual machine of the container, whose power ``cut`` and ``boot`` switch.
``destroy`` removes all of it. Needs root and the programs of ``packages-role.txt``.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from pathlib import Path

from tools.targets import container, machine, standin
from tools.targets.commands import TargetError
from tools.targets.image import ensure_image


def main() -> int:
    """Parse, do, and say what went wrong on one line."""
    logging.basicConfig(level=logging.INFO, format="target: %(message)s")
    arguments = _parser().parse_args()
    try:
        _do(arguments)
    except TargetError as error:
        logging.getLogger("targets").error("%s", error)  # noqa: TRY400 - a line, no traceback
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Debian hosts with a real systemd, for tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    suite = argparse.ArgumentParser(add_help=False)
    suite.add_argument("--suite", default="bookworm", help="Debian's code name")
    suite.add_argument("--bootable", action="store_true", help="with what `convert` takes")
    state = argparse.ArgumentParser(add_help=False)
    state.add_argument("--state", type=Path, required=True, help="the state directory")
    commands.add_parser("image", parents=[suite], help="only make the image")
    commands.add_parser("create", parents=[suite, state], help="start a container")
    command = commands.add_parser("standin", parents=[state], help="start the stand-in for GitHub")
    command.add_argument("--seed", type=Path, required=True, help="what is in it (JSON)")
    commands.add_parser("convert", parents=[state], help="make the container a virtual machine")
    commands.add_parser("cut", parents=[state], help="cut the virtual machine's power")
    commands.add_parser("boot", parents=[state], help="switch it on again")
    commands.add_parser("destroy", parents=[state], help="remove everything")
    return parser


def _do(arguments: argparse.Namespace) -> None:
    match arguments.command:
        case "image":
            ensure_image(arguments.suite, bootable=arguments.bootable)
        case "create":
            _destroy(arguments.state)
            image = ensure_image(arguments.suite, bootable=arguments.bootable)
            container.create(image, arguments.state)
        case "standin":
            standin.start(arguments.state, arguments.seed)
        case "convert":
            machine.convert(arguments.state)
        case "cut":
            machine.cut(arguments.state)
        case "boot":
            machine.boot(arguments.state)
        case "destroy":
            _destroy(arguments.state)


def _destroy(state: Path) -> None:
    standin.end(state)
    machine.cut(state)
    container.remove(state)
    if state.exists():
        shutil.rmtree(state)


if __name__ == "__main__":
    sys.exit(main())
