"""The clock of workers and queues. `SystemClock` runs in production, `carequeue.testing.FakeClock` in tests.

Locks, stalled checks and reconnects use the event loop's own monotonic time: they measure, they have no date.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer(Protocol):
    """Something that will happen, unless it is cancelled."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Tells the time and calls back at an instant; both in the milliseconds of the wire, which counts from 1970."""

    def now_ms(self) -> int: ...

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> Timer: ...


class SystemClock:
    """The machine's wall clock, and the running event loop's timers."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(max(0.0, when_ms / 1000 - time.time()), callback)
