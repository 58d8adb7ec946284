"""Waiting for what other processes do: they send this one no signal, so it has to look."""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOOK_EVERY = 0.1


async def eventually(holds: Callable[[], Awaitable[object] | object], what: str, seconds: float = 10) -> None:
    """Return as soon as `holds()`; fail, naming `what`, when it does not within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                held = holds()
                if await held if inspect.isawaitable(held) else held:
                    return
                await asyncio.sleep(LOOK_EVERY)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what}") from None


async def until(instant: datetime) -> None:
    """Return at that moment: where a test is about what happens at a time of day, there is nothing else to wait for."""
    await asyncio.sleep(max(0.0, (instant - datetime.now(UTC)).total_seconds()))
