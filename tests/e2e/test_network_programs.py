"""Programs that projects are built with, in a sandbox with a list of hosts, over HTTPS."""

from __future__ import annotations

import shutil
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from claude_flow.testing.installation import Installation
from tests.certificates import certificate
from tests.e2e.test_network_hosts import ASK, found_by

__all__ = ["certificate"]

# How each is asked for an address; {ca} is the certificate that it is to trust.
PROGRAMS = {
    "curl": "curl -sS --cacert {ca} {url}/curl",
    "git": "git -c http.sslCAInfo={ca} ls-remote {url}/git",
    "npm": "npm view --registry={url}/npm --cafile={ca} --fetch-retries=0 left-pad",
    "pip": "{python} -m pip download --retries 0 --cert {ca} --index-url {url}/pip x",
    "python3": "{python} -c \"import ssl, urllib.request as r; r.urlopen('{url}/python3', "
    "context=ssl.create_default_context(cafile='{ca}'))\"",
    "wget": "wget --tries=1 --ca-certificate={ca} -O- {url}/wget",
}


class Recorder(ThreadingHTTPServer):
    """A web server of this host's; ``asked`` are the paths that somebody asked for."""

    def __init__(self, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Nothing)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.asked: list[str] = []
        self.url = f"https://localhost:{self.server_port}"


class _Nothing(BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(404 if self.path.count("/") > 1 else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def server(certificate: Path) -> Iterator[Recorder]:
    with Recorder(certificate) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_finds_the_proxy_by_itself(
    installation: Installation, server: Recorder, certificate: Path, program: str
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on this machine")
    installation.configure(
        execution={
            "sandbox": "required",
            "network": "hosts",
            "network_hosts": [f"localhost:{server.server_port}"],
        }
    )
    installation.add_repository("acme/curious")
    call = PROGRAMS[program].format(ca=certificate, url="{url}", python="{python}")
    work = f"""
for url in ("{server.url}", "https://example.org"):
    call = {call!r}.format(url=url, python=sys.executable)
    done = subprocess.run(call, shell=True, capture_output=True, text=True, timeout=120)
    seen[url] = done.stdout + done.stderr
"""
    found = found_by(installation, installation.start(), ASK + work)
    assert any(path.startswith(f"/{program}") for path in server.asked), found
    assert "example.org:443" in installation.log.read_text()
