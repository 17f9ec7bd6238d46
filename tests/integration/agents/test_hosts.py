"""The real programs in a sandbox whence they reach their model, and nothing else."""

import asyncio
import contextlib
import json
import re
import ssl
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from claude_flow.model.events import HostRefused
from claude_flow.testing.messages_api import MessagesApi
from claude_flow.testing.messages_script import bash, write_file
from claude_flow.testing.serving import LoopbackServer
from tests.certificates import certificate
from tests.integration.agents.conftest import AGENTS, ALLOWED, Bench

__all__ = ["certificate"]

# Its own words, without a line's end: the shell of the tool has both kinds of quotes.
REACH = """python3 -c "
import json, socket, urllib.request
def reach(url):
    try:
        return urllib.request.urlopen(url, timeout=10).status
    except OSError as error:
        return str(error)
try:
    socket.create_connection(('192.0.2.1', 443), 5)
    past = 'connected'
except OSError as error:
    past = str(error)
told = [reach('http://example.org/'), reach('https://example.org/'), past]
json.dump(told, open('reached', 'w'))
" """


@pytest.mark.parametrize("bench", AGENTS, indirect=True)
async def test_it_works_with_its_model_and_reaches_nothing_else(
    bench: Bench, api: MessagesApi
) -> None:
    # A python3 that needs nothing of somebody's home, as the one that is found first may.
    bench.host["PATH"] = f"{Path(sys.executable).parent}:{bench.host['PATH']}"
    bench.bound_to_its_model()
    api.script([write_file("made.py", "print(1)\n")], [bash(REACH)])
    verdict = await bench.run()
    assert verdict.reason is None, verdict
    assert (bench.workspace / "made.py").exists()
    plain, tunnel, past = json.loads((bench.workspace / "reached").read_text())
    assert "403" in plain
    assert "403" in tunnel
    assert past != "connected"
    refused = [event.what for event in bench.events() if isinstance(event.what, HostRefused)]
    assert {one.host for one in refused} == {"example.org"}, refused
    assert all(re.search("execution.network_hosts", one.why) for one in refused)


@pytest.mark.parametrize("bench", AGENTS, indirect=True)
async def test_it_speaks_tls_with_its_model(
    bench: Bench, api: MessagesApi, server: LoopbackServer, certificate: Path
) -> None:
    async with in_front_of(server, certificate) as address:
        bench.host |= {"ANTHROPIC_BASE_URL": address, "NODE_EXTRA_CA_CERTS": str(certificate)}
        bench.allowed = (*ALLOWED, "NODE_EXTRA_CA_CERTS")
        bench.bound_to_its_model(certificate)
        api.script([write_file("made.py", "print(1)\n")])
        verdict = await bench.run()
    assert verdict.reason is None, verdict
    assert (bench.workspace / "made.py").exists()
    assert not any(isinstance(event.what, HostRefused) for event in bench.events())


@contextlib.asynccontextmanager
async def in_front_of(server: LoopbackServer, certificate: Path) -> AsyncIterator[str]:
    """The address of what speaks TLS for a server that does not."""
    behind = int(server.url.rpartition(":")[2])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))

    async def pass_on(reader: StreamReader, writer: StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", behind)
        await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    front = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with front:
        yield f"https://localhost:{front.sockets[0].getsockname()[1]}"
