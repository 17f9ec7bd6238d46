"""Serve the units that the command line names, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from sdbus import sd_bus_open_system

from claude_flow.testing.fake_systemd.answers import NAME, ROOT
from claude_flow.testing.fake_systemd.manager import Manager
from claude_flow.testing.fake_systemd.process import UnitFile


async def serve(files: Sequence[UnitFile], environ: Mapping[str, str]) -> None:
    """Answer on the bus that DBUS_SYSTEM_BUS_ADDRESS names until SIGTERM or SIGINT."""
    bus = sd_bus_open_system()
    manager = Manager(bus, {file.name: file for file in files}, environ)
    manager.export_to_dbus(ROOT, bus)
    await bus.request_name_async(NAME, 0)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stop.wait()
    await manager.end()
    bus.close()


def main() -> None:
    """Read the units from the command line and serve them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--unit", action="append", default=[], metavar="NAME=ARGV-AS-JSON")
    parser.add_argument("--notify", action="append", default=[], metavar="NAME")
    parser.add_argument("--protected", action="append", default=[], metavar="NAME")
    parser.add_argument("--missing", action="append", default=[], metavar="NAME")
    chosen = parser.parse_args()
    files = [UnitFile(name) for name in chosen.missing]
    for text in chosen.unit:
        name, _, argv = text.partition("=")
        files.append(
            UnitFile(name, json.loads(argv), name in chosen.notify, name in chosen.protected)
        )
    asyncio.run(serve(files, os.environ))


if __name__ == "__main__":
    main()
