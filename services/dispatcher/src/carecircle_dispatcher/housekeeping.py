"""The jobs of the queue `housekeeping`: plan ahead, sweep what nobody acted on, look after supplies.

They repeat by schedulers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from carecircle.db.session import database_now
from carecircle.jobs import HOUSEKEEPING, PLAN, SWEEP, WATCH_SUPPLIES, Plan, Sweep, WatchSupplies
from carecircle.usecases.planning import plan_ahead
from carecircle.usecases.supply_watch import watch_supplies
from carecircle.usecases.sweeping import sweep
from carecircle.usecases.zone_data import correct_due_times
from carequeue import Repeat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from carecircle.channels import ChannelSpec
    from carecircle.db.session import Database
    from carecircle.jobs import Queues
    from carecircle.runtime.metrics import Metrics
    from carecircle_dispatcher.settings import DispatcherSettings
    from carequeue import Job, Worker

SCHEDULES_AT_ONCE = 100

log = structlog.stdlib.get_logger(__name__)


class Housekeeping:
    def __init__(
        self,
        database: Database,
        queues: Queues,
        channels: Mapping[str, ChannelSpec],
        metrics: Metrics,
        settings: DispatcherSettings,
    ) -> None:
        self._database = database
        self._queues = queues
        self._channels = channels
        self._metrics = metrics
        self._settings = settings
        self._zones_looked_at = False

    def attach(self, worker: Worker) -> Worker:
        @worker.handles(PLAN)
        async def plan(_: Job[Plan]) -> dict[str, int]:
            return {"schedules": await self.plan()}

        @worker.handles(SWEEP)
        async def sweep(_: Job[Sweep]) -> dict[str, int]:
            return await self.sweep()

        @worker.handles(WATCH_SUPPLIES)
        async def supplies(_: Job[WatchSupplies]) -> dict[str, int]:
            return {"raised": await self.watch_supplies()}

        return worker

    async def ensure_schedulers(self) -> None:
        """Register the schedulers. Costs a round trip each and changes nothing as long as they are there."""
        queue = await self._queues.get(HOUSEKEEPING)
        await queue.schedule("plan", Repeat.every(self._settings.plan_every), PLAN, Plan())
        await queue.schedule("sweep", Repeat.every(self._settings.sweep_every), SWEEP, Sweep())
        await queue.schedule("supplies", Repeat.every(self._settings.supplies_every), WATCH_SUPPLIES, WatchSupplies())

    async def plan(self) -> int:
        """Plan every schedule up to the horizon; how many moved on. The reconciler enqueues what that made due soon."""
        await self._look_at_zones()
        moved = 0
        while True:
            async with self._database.transaction() as session:
                now = await database_now(session)
                some = await plan_ahead(session, self._settings.plan_horizon, now, SCHEDULES_AT_ONCE)
            moved += some
            if not some:
                break
        if moved:
            log.info("planner.planned", planned=moved)
        return moved

    async def _look_at_zones(self) -> None:
        """Once: another edition of the database of zones comes with another process."""
        if not self._zones_looked_at:
            async with self._database.transaction() as session:
                await correct_due_times(session, await database_now(session))
            self._zones_looked_at = True

    async def watch_supplies(self) -> int:
        """Tell circles what runs low or expires; the reconciler gives those messages their jobs."""
        return await watch_supplies(self._database, self._channels)

    async def sweep(self) -> dict[str, int]:
        """End what nobody acted on, and count it."""
        swept = await sweep(self._database, self._channels)
        counts = {"missed": swept.missed, "unknown": swept.unknown}
        for state, count in counts.items():
            self._metrics.missed.labels(state).inc(count)
        for channel, state in swept.deliveries:
            self._metrics.deliveries.labels(channel, state, "expired").inc()
        return {**counts, "expired": len(swept.deliveries)}
