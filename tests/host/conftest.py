"""These tests need a host with the role's units and users: Molecule's ``hardening`` runs them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.host.attempt import Attempt

collect_ignore_glob = [] if "CLAUDE_FLOW_ON_HOST" in os.environ else ["test_*.py"]


@pytest.fixture
def attempt() -> Iterator[Attempt]:
    """An attempt that may be made."""
    attempt = Attempt()
    yield attempt
    attempt.remove()


@pytest.fixture
def other() -> Iterator[Attempt]:
    """One of another run."""
    other = Attempt()
    yield other
    other.remove()
