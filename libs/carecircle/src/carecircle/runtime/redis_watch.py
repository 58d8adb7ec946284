"""Whether Redis answers, asked once a second on a connection of its own: the switch of the fallback, and for /readyz.

A worker's own connection blocks for seconds at a time, so it notices a server that went silent much later.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Self, cast

import structlog
from redis.exceptions import RedisError

from carecircle.runtime.redis_url import COMMAND_TIMEOUT, with_timeouts
from carecircle.runtime.waiting import stopped_within
from carequeue import Inspector

if TYPE_CHECKING:
    from types import TracebackType

    from carecircle.runtime.metrics import Metrics

EVERY = 1.0

log = structlog.stdlib.get_logger(__name__)


class RedisWatch:
    """`async with RedisWatch(url, metrics, prefix=…) as watch`; `run(stop)` does the asking.

    In a cluster it asks the node that has the queues with this prefix.
    """

    def __init__(self, url: str, metrics: Metrics, *, prefix: str) -> None:
        self._queue = Inspector("watch", with_timeouts(url), prefix=prefix)
        self._metrics = metrics
        self._up = False
        self._changed_at = time.monotonic()

    @property
    def up(self) -> bool:
        return self._up

    @property
    def down_for(self) -> float:
        """Seconds since it last answered, or since the watch began; 0 while it answers."""
        return 0.0 if self._up else time.monotonic() - self._changed_at

    async def is_up(self) -> bool:
        """For a readiness check."""
        return self._up

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._queue.close()

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until `stop` is set."""
        while True:
            self._note(await self.answers())
            if await stopped_within(stop, EVERY):
                return

    async def answers(self) -> bool:
        """Ask now."""
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
                await cast("Any", self._queue.client).ping()
        except (RedisError, OSError, TimeoutError):
            return False
        return True

    def _note(self, answered: bool) -> None:
        self._metrics.redis_up.set(answered)
        if answered is self._up:
            return
        self._up = answered
        self._changed_at = time.monotonic()
        if answered:
            log.info("redis.back")
        else:
            log.warning("redis.away")
