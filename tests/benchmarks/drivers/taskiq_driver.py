"""taskiq with the stream broker of taskiq-redis; delayed tasks wait in its schedule source."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import harness
from taskiq import TaskiqScheduler
from taskiq.api import run_receiver_task, run_scheduler_task
from taskiq.serializers import JSONSerializer
from taskiq_redis import ListRedisScheduleSource, RedisStreamBroker

broker = RedisStreamBroker(harness.REDIS_URL, queue_name=harness.QUEUE)
source = ListRedisScheduleSource(harness.REDIS_URL, prefix="bench-due", serializer=JSONSerializer())
run: harness.Handler | None = None


@broker.task(task_name="noop")
async def noop(payload: harness.Payload) -> None:
    assert run is not None
    await run(payload)


class Taskiq:
    async def open(self) -> None:
        await broker.startup()
        await source.startup()

    async def add(self, payload: harness.Payload, due: float | None) -> None:
        if due is None:
            await noop.kiq(payload)
        else:
            await noop.kicker().schedule_by_time(source, datetime.fromtimestamp(due, UTC), payload)

    async def close(self) -> None:
        await source.shutdown()
        await broker.shutdown()

    async def work(self, concurrency: int, handler: harness.Handler) -> None:
        global run
        run = handler
        broker.is_worker_process = True
        await self.open()
        second = timedelta(seconds=1)
        scheduler = TaskiqScheduler(broker, [source])
        ticking = asyncio.create_task(
            run_scheduler_task(scheduler, run_startup=False, interval=second, loop_interval=second)
        )
        try:
            await run_receiver_task(broker, max_async_tasks=concurrency, max_prefetch=concurrency)
        finally:
            ticking.cancel()


harness.main(Taskiq())
