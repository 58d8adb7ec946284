"""What a worker does for its queue at the start and once an interval, beside its jobs: repairs schedulers, and removes
finished jobs that got too old while none finished.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Literal

from carequeue.audit import Cursor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from carequeue.audit import Audit, SchedulerRepair
    from carequeue.store.housekeeping import Housekeeping
    from carequeue.wire.keep import KeepRule
    from carequeue.worker.outcome import Rules
    from carequeue.worker.setting import Setting

SOON = 3
"""Schedulers are looked at so many intervals before their run is due."""
SOON_PAGES = 20
"""How many pages of them one round looks at; the next one goes on from there."""
REST_PAGES = 2
"""How many pages of all schedulers it looks at besides."""
MOST_EVICTIONS = 10
"""How often one round asks for more of what is too old."""
MOST_TOLD = 1000

log: logging.Logger = logging.getLogger("carequeue.worker")


class Housekeeper:
    """The chores of one worker. Schedulers are looked at by one worker of the queue in each interval."""

    def __init__(self, setting: Setting, housekeeping: Housekeeping, audit: Audit, rules: Rules) -> None:
        self._setting = setting
        self._interval = setting.terms.stalled_ms
        self._housekeeping = housekeeping
        self._audit = audit
        self._kept: tuple[tuple[Literal["completed", "failed"], KeepRule], ...] = (
            ("completed", rules.keep_completed),
            ("failed", rules.keep_failed),
        )
        self._soon, self._rest = Cursor(), Cursor()
        self._told: dict[str, str] = {}

    async def run(self) -> None:
        """Keep house until cancelled."""
        while True:
            try:
                await self.round()
            except Exception as error:  # noqa: BLE001 - reported by the outage; the next round tries again
                await self._setting.outage.pause(error)
            else:
                await asyncio.sleep(self._interval / 1000)

    async def round(self) -> None:
        """Do what there is to do now."""
        await self._evict()
        if await self._housekeeping.take_round(self._setting.clock.now_ms(), self._interval):
            async for repair in self._repairs():
                self._tell(repair)
        self._setting.outage.answered()

    async def _evict(self) -> None:
        """Redis removes what is too old only while jobs finish."""
        for state, rule in self._kept:
            for _ in range(MOST_EVICTIONS if rule.age_ms >= 0 else 0):
                now = self._setting.clock.now_ms()
                if await self._housekeeping.evict_aged(state, now, rule.age_ms, rule.limit) < rule.limit:
                    break

    async def _repairs(self) -> AsyncIterator[SchedulerRepair]:
        """Those that are due soon, or were: all of them if there is time. Then some of the others, in turn."""
        now = self._setting.clock.now_ms()
        async for repair in self._audit.walk(now, self._soon, until=now + SOON * self._interval, pages=SOON_PAGES):
            yield repair
        async for repair in self._audit.walk(now, self._rest, pages=REST_PAGES):
            yield repair

    def _tell(self, repair: SchedulerRepair) -> None:
        setting, scheduler_id = self._setting, repair.scheduler_id
        if repair.problem is not None:
            self._tell_problem(scheduler_id, repair.problem)
            return
        event = f"scheduler.{repair.outcome}"
        log.warning(event, extra=setting.about(scheduler_id=scheduler_id))
        setting.emit(event, scheduler_id=scheduler_id)
        setting.hooks.call("scheduler_repaired", scheduler_id, repair.next_run)

    def _tell_problem(self, scheduler_id: str, problem: Exception) -> None:
        """Once, and not at each round."""
        if self._told.get(scheduler_id) == str(problem):
            return
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told[scheduler_id] = str(problem)
        log.error("scheduler.stuck", exc_info=problem, extra=self._setting.about(scheduler_id=scheduler_id))
        self._setting.emit("scheduler.stuck", scheduler_id=scheduler_id, error=type(problem).__name__)
        self._setting.hooks.call("error", problem)
