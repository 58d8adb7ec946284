"""A channel worker: the whole process around one `Channel`. What a channel's `__main__` calls."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from carecircle.db.away import answers, away
from carecircle.db.due import due_deliveries
from carecircle.db.session import Database, database_now
from carecircle.delivery.sender import Sender, SenderOptions
from carecircle.delivery.verdict import Later, Verdict, for_queue
from carecircle.jobs import SEND, Send
from carecircle.runtime.budgets import Budgets
from carecircle.runtime.clock import utc_now
from carecircle.runtime.feeder import Feeder
from carecircle.runtime.health import Check, Health
from carecircle.runtime.metrics import Metrics
from carecircle.runtime.queue_service import note_failures, serve_queue, worker_name
from carecircle.runtime.redis_url import with_timeouts
from carecircle.runtime.redis_watch import RedisWatch
from carequeue import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from carecircle.channels import Channel
    from carecircle.runtime.settings import Settings
    from carequeue import Job

DATABASE_AWAY_WAIT = timedelta(seconds=5)
CHANNEL_PAUSE = timedelta(seconds=60)
"""How long a channel whose credentials are refused takes nothing: long enough not to be locked out for trying."""

log = structlog.stdlib.get_logger(__name__)


async def run_channel(channel: Channel, settings: Settings, stop: asyncio.Event) -> None:
    """Send this channel's deliveries until `stop` is set; then finish what is under way."""
    budgets = Budgets(lease=settings.lease)
    budgets.check()
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        url, size = settings.database_url.get_secret_value(), settings.database_pool_size
        database = Database.connect(url, pool_size=size, max_overflow=0)
        stack.push_async_callback(database.close)
        redis_url = settings.redis_url.get_secret_value()
        watch = await stack.enter_async_context(RedisWatch(redis_url, metrics, prefix=settings.queue_prefix))
        options = SenderOptions(
            worker=worker_name(),
            lease=settings.lease,
            retry_base=timedelta(seconds=settings.retry_base),
            send_limit=budgets.send,
        )
        runner = ChannelRunner(database, channel, metrics, options)
        worker = runner.attach(
            Worker(
                channel.spec.name,
                with_timeouts(redis_url),
                prefix=settings.queue_prefix,
                name=options.worker,
                concurrency=settings.concurrency,
                telemetry=metrics.telemetry,
            )
        )
        feeder = Feeder(watch, runner.due, runner.attempt, concurrency=settings.concurrency)
        checks = {
            "postgres": Check(partial(answers, database), needed=True),
            "redis": Check(watch.is_up),
            "channel": Check(runner.is_sending),
        }
        await stack.enter_async_context(Health(settings.health_host, settings.health_port, metrics, checks))
        async with asyncio.TaskGroup() as group:
            group.create_task(watch.run(stop))
            group.create_task(feeder.run(stop))
            group.create_task(serve_queue(note_failures(worker, metrics), stop, budgets.stop_grace))
        await runner.settle()


class ChannelRunner:
    """Attempts at deliveries, whichever way they were asked for, and the pause while credentials are refused."""

    def __init__(self, database: Database, channel: Channel, metrics: Metrics, options: SenderOptions) -> None:
        self._database = database
        self._name = channel.spec.name
        self._metrics = metrics
        self._sender = Sender(database, channel, metrics, options)
        self._worker: Worker | None = None
        self._running: set[asyncio.Task[Verdict]] = set()
        self._resume: asyncio.TimerHandle | None = None
        metrics.channel_paused.labels(self._name).set(0)

    def attach(self, worker: Worker) -> Worker:
        """Let this queue worker's jobs be handled here, and pause it when the channel pauses."""
        self._worker = worker

        @worker.handles(SEND)
        async def send(job: Job[Send]) -> object:
            return for_queue(await self.attempt(job.data.delivery_id))

        return worker

    async def attempt(self, delivery_id: UUID) -> Verdict:
        """One attempt, which goes on to its end even if whoever asked is cancelled.

        A job whose lock is lost, as when Redis is away, is cancelled; the message may be half sent by then.
        """
        task = asyncio.create_task(self._attempt(delivery_id))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def due(self, limit: int) -> Sequence[UUID]:
        """What to send now, for the feeder; nothing while the channel is paused."""
        if self._resume is not None:
            return []
        async with self._database.transaction() as session:
            now = await database_now(session)
            return await due_deliveries(session, self._name, now=now, limit=limit)

    async def is_sending(self) -> bool:
        """For the readiness check: the provider accepts our credentials, as far as we know."""
        return self._resume is None

    async def settle(self) -> None:
        """Wait for the attempts that nobody waits for any more."""
        if self._resume is not None:
            self._resume.cancel()
        if self._running:
            await asyncio.wait(self._running)

    async def _attempt(self, delivery_id: UUID) -> Verdict:
        try:
            verdict = await self._sender.deliver(delivery_id)
        except Exception as error:
            if not away(error):
                raise
            log.warning("delivery.database_away", delivery_id=delivery_id, channel=self._name)
            wait = DATABASE_AWAY_WAIT * (1 + random.random())  # noqa: S311 - jitter, no secret
            return Later(utc_now() + wait, "database_away")
        if isinstance(verdict, Later) and verdict.pauses_channel:
            self.pause(verdict.why)
        return verdict

    def pause(self, why: str, wait: timedelta = CHANNEL_PAUSE) -> None:
        """Take nothing for a while. What waits keeps its place: a wrong password is nobody's undeliverable mail."""
        log.error("channel.paused", channel=self._name, reason=why, seconds=wait.total_seconds())
        self._metrics.channel_paused.labels(self._name).set(1)
        if self._worker is not None:
            self._worker.pause()
        if self._resume is not None:
            self._resume.cancel()
        self._resume = asyncio.get_running_loop().call_later(wait.total_seconds(), self._resumed)

    def _resumed(self) -> None:
        self._resume = None
        self._metrics.channel_paused.labels(self._name).set(0)
        if self._worker is not None:
            self._worker.resume()
        log.warning("channel.resumed", channel=self._name)
