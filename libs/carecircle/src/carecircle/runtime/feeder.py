"""The way around Redis: while it is away, a worker takes what is due straight from PostgreSQL.

The same function handles a row whichever way it came, and its claim decides; so nothing is lost or doubled when both
ways overlap for a moment.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from carecircle.runtime.waiting import stopped_within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    from carecircle.runtime.redis_watch import RedisWatch

DOWN_FOR = 3.0
"""Seconds of silence before the fallback begins: a restart of Redis is shorter."""
EVERY = 1.0

log = structlog.stdlib.get_logger(__name__)


class Feeder:
    """`due(limit)` says what is due; `handle(row id)` is what a job of that row would do."""

    def __init__(
        self,
        watch: RedisWatch,
        due: Callable[[int], Awaitable[Sequence[UUID]]],
        handle: Callable[[UUID], Awaitable[object]],
        *,
        concurrency: int,
        every: float = EVERY,
    ) -> None:
        self._watch = watch
        self._due = due
        self._handle = handle
        self._concurrency = concurrency
        self._every = every
        self._running: dict[UUID, asyncio.Task[None]] = {}
        self.active = False

    async def run(self, stop: asyncio.Event) -> None:
        """Feed whenever Redis is away, until `stop` is set; what is under way then is finished first."""
        while not await stopped_within(stop, self._every):
            self._switch(self._watch.down_for > DOWN_FOR)
            if self.active:
                await self.feed()
        if self._running:
            await asyncio.wait(self._running.values())

    async def feed(self) -> int:
        """Start what is due, as far as there is room; the number started."""
        room = self._concurrency - len(self._running)
        if room <= 0:
            return 0
        try:
            ids = [row_id for row_id in await self._due(room + len(self._running)) if row_id not in self._running]
        except Exception:  # PostgreSQL may be away as well; this loop must outlive that
            log.exception("fallback.no_rows")
            return 0
        for row_id in ids[:room]:
            task = asyncio.create_task(self._one(row_id))
            self._running[row_id] = task
            task.add_done_callback(lambda _, row_id=row_id: self._running.pop(row_id, None))
        return len(ids[:room])

    async def _one(self, row_id: UUID) -> None:
        try:
            await self._handle(row_id)
        except Exception:  # as above; the row is still due and comes again
            log.exception("fallback.failed")

    def _switch(self, active: bool) -> None:
        if active is not self.active:
            self.active = active
            log.warning("fallback.started" if active else "fallback.ended")
