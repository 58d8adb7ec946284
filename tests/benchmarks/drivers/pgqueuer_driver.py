"""PGQueuer on PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import harness
from pgqueuer import PgQueuer, Queries
from pgqueuer.db import AsyncpgDriver

if TYPE_CHECKING:
    from collections.abc import Sequence

URL = os.environ.get("BENCH_POSTGRES_URL", "")


def wait(due: float | None) -> timedelta | None:
    return None if due is None else timedelta(seconds=max(0.0, due - time.time()))


class Pgqueuer:
    async def reset(self) -> None:
        connection = await asyncpg.connect(URL)
        queries = Queries(AsyncpgDriver(connection))
        with contextlib.suppress(asyncpg.PostgresError):  # nothing was installed yet
            await queries.uninstall()
        await queries.install()
        await connection.close()

    async def open(self) -> None:
        self._connection = await asyncpg.connect(URL)
        self._queries = Queries(AsyncpgDriver(self._connection))

    async def add(self, payload: harness.Payload, due: float | None) -> None:
        await self._queries.enqueue("noop", json.dumps(payload).encode(), 0, wait(due))

    async def add_bulk(self, payloads: Sequence[harness.Payload], due: float | None) -> None:
        count, later = len(payloads), wait(due)
        texts = [json.dumps(payload).encode() for payload in payloads]
        await self._queries.enqueue(["noop"] * count, texts, [0] * count, [later] * count)

    async def close(self) -> None:
        await self._connection.close()

    async def work(self, concurrency: int, handler: harness.Handler) -> None:
        queue = PgQueuer(AsyncpgDriver(await asyncpg.connect(URL)))

        @queue.entrypoint("noop")
        async def noop(job: Any) -> None:
            await handler(json.loads(job.payload))

        await queue.run(batch_size=100, max_concurrent_tasks=concurrency)
        await asyncio.Event().wait()


harness.main(Pgqueuer())
