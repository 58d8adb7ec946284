"""BullMQ's Python port."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import harness
from bullmq import Queue, Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

ADDRESS = urlsplit(harness.REDIS_URL)
# Its redis client ends a read after 5 s by default, and its worker blocks for 5 s and more: without this an idle worker
# spends its time in retries.
CONNECTION = {"host": ADDRESS.hostname, "port": ADDRESS.port, "socket_timeout": None}
SETTINGS: dict[str, Any] = {"connection": CONNECTION}


def options(due: float | None) -> dict[str, Any]:
    return {} if due is None else {"delay": max(0, int((due - time.time()) * 1000))}


class BullmqPython:
    async def open(self) -> None:
        self._queue = Queue(harness.QUEUE, SETTINGS)

    async def add(self, payload: harness.Payload, due: float | None) -> None:
        await self._queue.add("noop", payload, options(due))

    async def add_bulk(self, payloads: Sequence[harness.Payload], due: float | None) -> None:
        said = options(due)
        await self._queue.addBulk([{"name": "noop", "data": payload, "opts": said} for payload in payloads])

    async def close(self) -> None:
        await self._queue.close()

    async def work(self, concurrency: int, handler: harness.Handler) -> None:
        async def run(job: Any, token: str) -> None:
            await handler(job.data)

        worker = Worker(harness.QUEUE, run, {**SETTINGS, "concurrency": concurrency})
        try:
            await asyncio.Event().wait()
        finally:
            await worker.close(True)


harness.main(BullmqPython())
