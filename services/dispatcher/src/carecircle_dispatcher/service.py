"""The dispatcher: reminders, housekeeping, reconciler and fallback in one process."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import structlog

from carecircle.channels import discover
from carecircle.db.away import answers
from carecircle.db.session import Database
from carecircle.jobs import HOUSEKEEPING, REMINDERS, Queues
from carecircle.runtime.budgets import Budgets
from carecircle.runtime.feeder import Feeder
from carecircle.runtime.health import Check, Health
from carecircle.runtime.metrics import Metrics
from carecircle.runtime.queue_service import note_failures, serve_queue, worker_name
from carecircle.runtime.redis_url import with_timeouts
from carecircle.runtime.redis_watch import RedisWatch
from carecircle_dispatcher.housekeeping import Housekeeping
from carecircle_dispatcher.reconciler import Reconciler
from carecircle_dispatcher.reminders import Reminders
from carequeue import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from carecircle.channels import ChannelSpec
    from carecircle_dispatcher.settings import DispatcherSettings
    from carequeue import Telemetry

log = structlog.stdlib.get_logger(__name__)


async def serve(
    settings: DispatcherSettings, stop: asyncio.Event, channels: Mapping[str, ChannelSpec] | None = None
) -> None:
    """Run until `stop` is set, then finish what is under way. `channels`: every installed one."""
    budgets = Budgets(lease=settings.lease)
    budgets.check()
    channels = discover() if channels is None else channels
    log.info("dispatcher.channels", count=len(channels))
    metrics = Metrics()
    redis_url = settings.redis_url.get_secret_value()
    async with AsyncExitStack() as stack:
        url, size = settings.database_url.get_secret_value(), settings.database_pool_size
        database = Database.connect(url, pool_size=size, max_overflow=0)
        stack.push_async_callback(database.close)
        queues = await stack.enter_async_context(Queues(redis_url, settings.queue_prefix))
        watch = await stack.enter_async_context(RedisWatch(redis_url, metrics, prefix=settings.queue_prefix))
        worker = partial(_worker, with_timeouts(redis_url), settings, metrics.telemetry)
        reminders = Reminders(database, queues, channels)
        housekeeping = Housekeeping(database, queues, channels, metrics, settings)
        reconciler = Reconciler(database, queues, channels, housekeeping, watch, metrics, settings)
        feeder = Feeder(watch, reminders.due, reminders.decide, concurrency=settings.concurrency)
        workers = (
            reminders.attach(worker(REMINDERS, settings.concurrency)),
            housekeeping.attach(worker(HOUSEKEEPING, 1)),
        )
        checks = {"postgres": Check(partial(answers, database), needed=True), "redis": Check(watch.is_up)}
        await stack.enter_async_context(Health(settings.health_host, settings.health_port, metrics, checks))
        async with asyncio.TaskGroup() as group:
            group.create_task(watch.run(stop))
            group.create_task(reconciler.run(stop))
            group.create_task(feeder.run(stop))
            for worker in workers:
                group.create_task(serve_queue(note_failures(worker, metrics), stop, budgets.stop_grace))


def _worker(connection: str, settings: DispatcherSettings, telemetry: Telemetry, name: str, concurrency: int) -> Worker:
    return Worker(
        name,
        connection,
        prefix=settings.queue_prefix,
        name=worker_name(),
        concurrency=concurrency,
        telemetry=telemetry,
    )
