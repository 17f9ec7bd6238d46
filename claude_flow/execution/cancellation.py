"""Work that a cancellation must not cut in the middle."""

from __future__ import annotations

import asyncio
from typing import TypeVar

_T = TypeVar("_T")


async def to_the_end(work: asyncio.Future[_T]) -> _T:
    """Wait until ``work`` is done, then pass on a cancellation that came meanwhile.

    asyncio itself, cancelled while it starts a process, kills that one process at best, not
    what it has started, and can then wait for its pipes for ever.
    """
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        work.exception()  # retrieved: asyncio need not complain that nobody did
        raise cancelled
    return work.result()
