"""SAQ."""

from __future__ import annotations

import math
from typing import Any

import harness
from saq import Queue, Worker


class Saq:
    async def open(self) -> None:
        self._queue = Queue.from_url(harness.REDIS_URL, name=harness.QUEUE)

    async def add(self, payload: harness.Payload, due: float | None) -> None:
        if due is None:
            await self._queue.enqueue("noop", payload=payload)
        else:
            await self._queue.enqueue("noop", payload=payload, scheduled=math.ceil(due))

    async def close(self) -> None:
        await self._queue.disconnect()

    async def work(self, concurrency: int, handler: harness.Handler) -> None:
        async def noop(_: Any, *, payload: harness.Payload) -> None:
            await handler(payload)

        queue = Queue.from_url(harness.REDIS_URL, name=harness.QUEUE)
        await Worker(queue, [("noop", noop)], concurrency=concurrency).start()


harness.main(Saq())
