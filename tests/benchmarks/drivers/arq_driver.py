"""arq."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import harness
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

SETTINGS = RedisSettings.from_dsn(harness.REDIS_URL)


class Arq:
    async def open(self) -> None:
        self._pool = await create_pool(SETTINGS)

    async def add(self, payload: harness.Payload, due: float | None) -> None:
        when = None if due is None else datetime.fromtimestamp(due, UTC)
        await self._pool.enqueue_job("noop", payload, _defer_until=when)

    async def close(self) -> None:
        await self._pool.aclose()

    async def work(self, concurrency: int, handler: harness.Handler) -> None:
        async def noop(_: Any, payload: harness.Payload) -> None:
            await handler(payload)

        worker = Worker([func(noop, name="noop")], redis_settings=SETTINGS, max_jobs=concurrency, handle_signals=False)
        await worker.async_run()


harness.main(Arq())
