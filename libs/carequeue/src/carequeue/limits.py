"""The limits of a queue as a whole, which all its workers keep together: `Queue` is one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from carequeue.errors import InvalidOption
from carequeue.inspect import Inspector
from carequeue.options import ZERO, RateLimit
from carequeue.store.limiting import Limiting
from carequeue.wire.times import span_ms

if TYPE_CHECKING:
    from carequeue.store.limiting import LimitsNow

MILLISECOND = timedelta(milliseconds=1)


class Limits(Inspector):
    """How many jobs of the queue run at once, and how many may start in a time. Setting a limit may be repeated."""

    async def set_global_concurrency(self, concurrency: int) -> None:
        """Let at most so many jobs be active at once, in all workers together; what is active goes on.

        Raises:
            InvalidOption: fewer than one; `pause` is what you want.
        """
        if concurrency < 1:
            raise InvalidOption(f"a global concurrency is at least 1, got {concurrency}; pause() lets nothing start")
        await self._limiting.change(concurrency=concurrency)

    async def global_concurrency(self) -> int | None:
        """How many jobs may be active at once in all workers together; None if nothing was set."""
        return (await self._limiting.now()).concurrency

    async def remove_global_concurrency(self) -> None:
        """Let the concurrency of each worker be the only bound."""
        await self._limiting.change(concurrency=None)

    async def is_maxed(self) -> bool:
        """Whether as many jobs are active as the global concurrency allows."""
        now = await self._limiting.now()
        return now.concurrency is not None and now.active >= now.concurrency

    async def set_global_rate_limit(self, limit: RateLimit) -> None:
        """Let at most `limit.max` jobs start in each `limit.duration`, in all workers together.

        It wins over the `limiter` of a worker; but a worker with one counts in its own duration, as in BullMQ.
        """
        await self._limiting.change(max=limit.max, duration=span_ms(limit.duration))

    async def global_rate_limit(self) -> RateLimit | None:
        """What `set_global_rate_limit` set; None if nothing was."""
        return _rate_limit(await self._limiting.now())

    async def remove_global_rate_limit(self) -> None:
        """Let jobs start without this limit; the `limiter` of a worker holds again."""
        await self._limiting.change(max=None, duration=None)

    async def rate_limit(self, for_: timedelta) -> None:
        """Let no worker start a job for so long; what is active goes on. A handler raises `RateLimited` instead.

        Raises:
            InvalidOption: not longer than nothing.
        """
        if for_ <= ZERO:
            raise InvalidOption(f"a rate limit holds for longer than nothing, got {for_}")
        await self._limiting.limit(span_ms(for_))

    async def rate_limit_ttl(self, max: int | None = None) -> timedelta:  # noqa: A002 - RateLimit's word
        """How long no job starts because of a rate limit; zero if one may.

        `max`: the limit that the workers have, if the queue has none. Without either the answer is when the window of
        whatever limit there is ends, full or not.
        """
        return (await self._limiting.now(max)).limited_for * MILLISECOND

    async def remove_rate_limit(self) -> bool:
        """Let jobs start at once, whether a limit was reached or `rate_limit` said; False if there was neither."""
        return await self._limiting.remove()

    @property
    def _limiting(self) -> Limiting:
        return Limiting(self.client, self.keys)


def _rate_limit(now: LimitsNow) -> RateLimit | None:
    if not now.max or not now.duration_ms:
        return None
    return RateLimit(now.max, now.duration_ms * MILLISECOND)
