"""ServerClock: the time of the Redis server, for machines whose own clocks do not agree."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from carequeue.ending import end
from carequeue.errors import CarequeueError, InvalidOption
from carequeue.store.connected import Connected
from carequeue.store.server_time import ServerTime, measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from carequeue.clock import Timer
    from carequeue.store.connection import Connection

HOME = "{carequeue}"  # of no queue; in a cluster the node of this key is asked

log: logging.Logger = logging.getLogger("carequeue.clock")


class ServerClock(Connected):
    """A clock for queues, flow producers and workers: `async with ServerClock(url) as clock, Queue(…, clock=clock)`.

    It measures how far the server's clock is from this machine's when it is opened and each `interval`, and goes on by
    the machine's monotonic clock in between. So a machine whose clock is wrong, or is set while it runs, neither makes
    jobs for the wrong instant nor starts them at one. Give it to all programs of a queue, or to none.
    """

    def __init__(
        self, connection: Connection = "redis://localhost:6379", *, interval: timedelta = timedelta(minutes=1)
    ) -> None:
        if interval <= timedelta(0):
            raise InvalidOption(f"the interval between two measurements is longer than nothing, got {interval}")
        super().__init__(connection, HOME)
        self._interval = interval.total_seconds()
        self._time: ServerTime | None = None
        self._measuring: asyncio.Task[None] | None = None

    async def open(self) -> Self:
        """Measure, and go on measuring until it is closed.

        Raises:
            ConnectionLost: nobody answers at this address, or this user may not ask for the time.
            UnsuitableRedis: as `Queue.open`.
        """
        await super().open()
        self._time = await measure(self.client)
        if self._measuring is None:
            self._measuring = asyncio.create_task(self._measure(), name="carequeue:server-clock")
        return self

    async def close(self) -> None:
        """Measure no more; the clock goes on by its last measurement."""
        if self._measuring is not None:
            await end([self._measuring])
            self._measuring = None
        await super().close()

    @property
    def offset(self) -> timedelta:
        """How far the server's clock is ahead of this machine's; negative if it is behind."""
        return timedelta(milliseconds=self.now_ms() - time.time_ns() // 1_000_000)

    def now_ms(self) -> int:
        """The server's time, in ms since 1970.

        Raises:
            InvalidOption: it was not opened yet.
        """
        if self._time is None:
            raise InvalidOption("a ServerClock tells the time once it is open: async with ServerClock(url) as clock")
        return self._time.now_ms()

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> Timer:
        """Call back when the server's clock shows `when_ms`; what `Worker` uses."""
        return asyncio.get_running_loop().call_later(max(0.0, (when_ms - self.now_ms()) / 1000), callback)

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                self._time = await measure(self.client)
            except CarequeueError as error:  # the last measurement is good for long: a quartz drifts by seconds a day
                log.warning("clock.unmeasured", extra={"error": str(error)})
