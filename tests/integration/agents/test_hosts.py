"""The real programs in a sandbox whence they reach their model, and nothing else."""

import json
import re

import pytest

from claude_flow.model.events import HostRefused
from claude_flow.testing.messages_api import MessagesApi
from claude_flow.testing.messages_script import bash, write_file
from tests.integration.agents.conftest import AGENTS, Bench

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
    bench.bound_to_hosts()
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
