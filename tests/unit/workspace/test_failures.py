"""Git's own words, as git 2.39 and GitHub print them, and what is made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.errors import WorkspaceUnreachableError
from claude_flow.workspace.failures import Fault, fault, server_error, words

_URL = "https://github.com/octo/widgets.git/"


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        (f"fatal: unable to access '{_URL}': Could not resolve host: github.com", "UNREACHABLE"),
        (
            (
                f"fatal: unable to access '{_URL}': Failed to connect to github.com port 443 after "
                "1 ms: Couldn't connect to server"
            ),
            "UNREACHABLE",
        ),
        (f"fatal: unable to access '{_URL}': The requested URL returned error: 503", "UNREACHABLE"),
        (f"fatal: unable to access '{_URL}': The requested URL returned error: 429", "UNREACHABLE"),
        (
            (
                "error: RPC failed; curl 56 GnuTLS recv error (-9): Error decoding the received "
                "TLS packet.\nfatal: early EOF\nfatal: fetch-pack: invalid index-pack output"
            ),
            "UNREACHABLE",
        ),
        (
            (
                f"fatal: unable to access '{_URL}': server certificate verification failed. "
                "CAfile: none CRLfile: none"
            ),
            "CERTIFICATE",
        ),
        (
            (
                "remote: Invalid username or token. Password authentication is not supported for "
                f"Git operations.\nfatal: Authentication failed for '{_URL}'"
            ),
            "LOGIN",
        ),
        (
            "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
            "LOGIN",
        ),
        (
            (
                "remote: Permission to octo/widgets.git denied to bot.\n"
                f"fatal: unable to access '{_URL}': The requested URL returned error: 403"
            ),
            "FORBIDDEN",
        ),
        (
            f"remote: Repository not found.\nfatal: repository '{_URL}' not found",
            "MISSING",
        ),
        (
            "error: unable to write file: No space left on device\nfatal: unpack-objects failed",
            "DISK_FULL",
        ),
        ("fatal: bad object HEAD", "OTHER"),
        ("", "OTHER"),
    ],
)
def test_each_fault_is_told_from_the_others(stderr: str, expected: str) -> None:
    assert fault(stderr.encode()) is Fault[expected]

    error = server_error(f"fetching octo/widgets from {_URL}", stderr.encode())

    assert isinstance(error, WorkspaceUnreachableError) is (expected == "UNREACHABLE")
    assert (error.hint is None) is (expected == "OTHER")


def test_words_are_the_telling_lines_only() -> None:
    stderr = (
        b"Enumerating objects: 5, done.\rCounting objects: 100%\n"
        b"remote: \n"
        b"remote: error: GH006: Protected branch update failed for refs/heads/main.\x1b[K        \n"
        b"To https://github.com/octo/widgets.git\n"
        b" ! [remote rejected] main -> main (protected branch hook declined)\n"
        b"error: failed to push some refs to 'https://github.com/octo/widgets.git'\n"
        b"hint: Updates were rejected\n"
    )

    assert words(stderr) == (
        "remote: error: GH006: Protected branch update failed for refs/heads/main.; "
        "error: failed to push some refs to 'https://github.com/octo/widgets.git'"
    )


@given(st.binary(max_size=2000))
def test_any_bytes_become_one_printable_line(stderr: bytes) -> None:
    line = words(stderr)

    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < 700
    fault(stderr)
