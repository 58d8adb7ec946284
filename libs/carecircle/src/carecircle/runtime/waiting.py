"""Waiting that ends early when the process is asked to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


async def stopped_within(stop: asyncio.Event, wait: timedelta | float) -> bool:
    """Wait that long, or until `stop` is set; whether it is."""
    seconds = wait if isinstance(wait, float | int) else wait.total_seconds()
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
