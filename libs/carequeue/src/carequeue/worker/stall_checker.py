"""Puts jobs of dead workers back: at the start and once an interval, one worker of the queue looks for all."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carequeue.store.commands import Commands
    from carequeue.worker.executor import Executor
    from carequeue.worker.setting import Setting

log: logging.Logger = logging.getLogger("carequeue.worker")


class StallChecker:
    """A job counts as stalled when two checks in a row found it active and its lock was not renewed in between."""

    def __init__(self, setting: Setting, commands: Commands, executor: Executor) -> None:
        self._setting = setting
        self._terms = setting.terms
        self._commands = commands
        self._executor = executor

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            try:
                await self.check()
            except Exception as error:  # noqa: BLE001 - reported by the outage; the next round tries again
                await self._setting.outage.pause(error)
            else:
                await asyncio.sleep(self._terms.stalled_ms / 1000)

    async def check(self) -> None:
        asked = asyncio.get_running_loop().time()
        stalled = await self._commands.check_stalled(
            max_stalled=self._terms.max_stalled, interval_ms=self._terms.stalled_ms, now=self._setting.clock.now_ms()
        )
        self._setting.outage.answered()
        # A worker that was frozen for long may find jobs of its own: it must not go on with them. What it started after
        # it asked may be the same job again, under a new lock.
        self._executor.lose(run.lock for run in self._executor.runs if run.started < asked and run.job.id in stalled)
        for job_id in stalled:
            log.warning("job.stalled", extra=self._setting.about(job_id=job_id))
            self._setting.emit("job.stalled", job_id=job_id)
            self._setting.hooks.call("stalled", job_id)
