"""The loop that makes every other part allowed to fail: every few seconds it looks at what the rows still need."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from carecircle.db.away import away
from carecircle.db.due import oldest_unsent
from carecircle.db.session import database_now
from carecircle.runtime.clock import utc_now
from carecircle.runtime.waiting import stopped_within
from carecircle.usecases.acknowledging import lapse_acknowledgements
from carecircle.usecases.dispatching import replace_alerts
from carecircle.usecases.enqueueing import REDIS_AWAY, add_jobs, reconcile

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from carecircle.channels import ChannelSpec
    from carecircle.db.session import Database
    from carecircle.jobs import Queues
    from carecircle.runtime.metrics import Metrics
    from carecircle.runtime.redis_watch import RedisWatch
    from carecircle_dispatcher.housekeeping import Housekeeping
    from carecircle_dispatcher.settings import DispatcherSettings

SKEW_WORTH_SAYING = 2.0

log = structlog.stdlib.get_logger(__name__)


class Reconciler:
    """One round is `round()`; several dispatchers may run theirs at once."""

    def __init__(
        self,
        database: Database,
        queues: Queues,
        channels: Mapping[str, ChannelSpec],
        housekeeping: Housekeeping,
        watch: RedisWatch,
        metrics: Metrics,
        settings: DispatcherSettings,
    ) -> None:
        self._database = database
        self._queues = queues
        self._channels = channels
        self._housekeeping = housekeeping
        self._watch = watch
        self._metrics = metrics
        self._settings = settings
        self._kept_house_at = -float("inf")

    async def run(self, stop: asyncio.Event) -> None:
        """Rounds until `stop` is set. Whatever goes wrong in one, the next one tries again."""
        while True:
            try:
                await self.round()
            except REDIS_AWAY as error:
                log.warning("reconciler.redis_away", error=type(error).__name__)
            except Exception as error:
                if away(error):
                    log.warning("reconciler.database_away", error=type(error).__name__)
                else:
                    log.exception("reconciler.failed")  # a bug; the loop must outlive it
            if await stopped_within(stop, self._settings.reconcile_every):
                return

    async def round(self) -> None:
        """Look at the rows, then at the queues. With Redis away also do what the schedulers would."""
        await self._measure()
        await lapse_acknowledgements(self._database)
        replacements = await replace_alerts(self._database, self._channels)
        if not self._watch.up:
            await self._keep_house_without_redis()
            return
        await add_jobs(self._queues, replacements)
        await self._housekeeping.ensure_schedulers()
        done = await reconcile(self._database, self._queues, horizon=self._settings.enqueue_horizon)
        self._metrics.enqueued.labels("due").inc(done.enqueued)
        self._metrics.enqueued.labels("healed").inc(done.healed)

    async def _keep_house_without_redis(self) -> None:
        if time.monotonic() - self._kept_house_at < self._settings.sweep_seconds:
            return
        self._kept_house_at = time.monotonic()
        await self._housekeeping.sweep()
        await self._housekeeping.plan()
        await self._housekeeping.watch_supplies()

    async def _measure(self) -> None:
        """How late the latest reminder is, and how far our clock is from the one that counts."""
        async with self._database.transaction() as session:
            before = utc_now()
            now = await database_now(session)
            oldest = await oldest_unsent(session, now=now)
        skew = (before - now).total_seconds()
        self._metrics.clock_skew.set(skew)
        self._metrics.oldest_unsent.set(max(0.0, (now - oldest).total_seconds()) if oldest else 0)
        if abs(skew) > SKEW_WORTH_SAYING:
            log.warning("clock.skewed", skew_seconds=skew)
