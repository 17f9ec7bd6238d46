"""A stand-in world in which a fault against GitHub's description fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from claude_flow.ports import Clock
from claude_flow.testing.openapi_check import OpenApiCheck
from claude_flow.testing.world import World, utc_now


@contextmanager
def checked_world(directory: Path, *, clock: Clock = utc_now) -> Iterator[World]:
    """A running world; raises AssertionError at its end if anything sent was faulty."""
    check = OpenApiCheck()
    with World(directory, checker=check, clock=clock) as world:
        yield world
    if check.faults:
        raise AssertionError("\n".join(["not as GitHub describes it:", *check.faults]))
