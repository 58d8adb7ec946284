"""carequeue."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import harness

from carequeue import Job, JobOptions, NewJob, Queue, Worker

if TYPE_CHECKING:
    from collections.abc import Sequence


def options(due: float | None) -> JobOptions:
    return JobOptions(run_at=None if due is None else datetime.fromtimestamp(due, UTC))


class Carequeue:
    def __init__(self) -> None:
        self._queue = Queue(harness.QUEUE, harness.REDIS_URL)

    async def open(self) -> None:
        await self._queue.open()

    async def add(self, payload: harness.Payload, due: float | None) -> None:
        if due is None:
            await self._queue.add("noop", payload)
        else:
            await self._queue.add("noop", payload, run_at=options(due).run_at)

    async def add_bulk(self, payloads: Sequence[harness.Payload], due: float | None) -> None:
        same = options(due)
        await self._queue.add_bulk([NewJob("noop", payload, same) for payload in payloads])

    async def close(self) -> None:
        await self._queue.close()

    async def work(self, concurrency: int, handler: harness.Handler) -> None:
        async def run(job: Job[Any]) -> None:
            await handler(job.data)

        await Worker(harness.QUEUE, harness.REDIS_URL, run, concurrency=concurrency).run()


harness.main(Carequeue())
