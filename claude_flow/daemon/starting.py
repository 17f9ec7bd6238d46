"""The moment before the daemon begins: not at once where it has failed again and again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from claude_flow.service import ServiceManager
from claude_flow.systemd.notify import Notifier

_log = logging.getLogger(__name__)

# Beside the pause, for the start itself.
_START_SECONDS = 60.0


async def wait_out_restarts(
    service: ServiceManager,
    notifier: Notifier,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Wait as long as is due after so many restarts; not at all without systemd."""
    if not notifier.is_listened_to:
        return
    pause = await asyncio.to_thread(service.restart_pause)
    if pause <= 0:
        return
    text = f"ended again and again: waiting {pause:.0f} s before this start"
    notifier.extend_start(pause + _START_SECONDS, text)
    _log.warning("%s", text)
    await sleep(pause)
