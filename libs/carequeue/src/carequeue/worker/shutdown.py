"""How a worker ends: fetch nothing more, let handlers finish until the deadline, hand the others' jobs back.

A thread cannot be stopped. One that takes the context is told, and may end by itself; what still runs in one then is
left to the stall check, and the log says so.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from carequeue.worker.stopping import KILLING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from carequeue.worker.executor import Executor
    from carequeue.worker.run import Run
    from carequeue.worker.setting import Setting
    from carequeue.worker.slots import Slots

LAST_REPORTS = 5.0
"""Seconds to bring the last outcomes to Redis; what it does not hear, the stall check finds."""

log: logging.Logger = logging.getLogger("carequeue.worker")


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What a closed worker did not finish."""

    handed_back: int
    abandoned: int


class Shutdown:
    """The end of one worker. `hurry` cuts the deadline short."""

    def __init__(self, setting: Setting, slots: Slots, executor: Executor) -> None:
        self.hurry: asyncio.Event = asyncio.Event()
        self._setting = setting
        self._slots = slots
        self._executor = executor

    async def drain(self, grace: timedelta) -> Leftovers:
        """End what runs, and report it."""
        self._slots.stop()
        self._executor.batches.close()
        await self._let_finish(grace.total_seconds())
        interrupted = [run for run in self._executor.runs if run.context is not None or not run.in_thread]
        for run in interrupted:
            run.hand_back()
        if interrupted:
            patience = self._setting.terms.cancel_grace + KILLING
            await asyncio.wait([run.task for run in interrupted if run.task], timeout=patience)
        abandoned = self._executor.runs
        await self._abandon(abandoned)
        try:
            async with asyncio.timeout(LAST_REPORTS):
                await self._flush(abandoned)
        except TimeoutError:
            log.warning("worker.unreported_end", extra=self._setting.about())
        return Leftovers(len(set(interrupted).difference(abandoned)), len(abandoned))

    async def _flush(self, abandoned: Sequence[Run]) -> None:
        """Until Redis has heard of every end. A call that was under way may have brought jobs, which are handed back at
        once: ends to report as well."""
        while True:
            await self._slots.flushed.wait()
            late = [run.task for run in self._executor.runs if run not in abandoned and run.task]
            if late:
                await asyncio.wait(late)
            elif self._slots.flushed.is_set():  # a job that was handed back since then has cleared it again
                return

    async def _let_finish(self, grace: float) -> None:
        ended = asyncio.create_task(self._executor.empty.wait())
        hurried = asyncio.create_task(self.hurry.wait())
        await asyncio.wait([ended, hurried], timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        for waiter in (ended, hurried):
            waiter.cancel()

    async def _abandon(self, runs: Sequence[Run]) -> None:
        for run in runs:
            if run.lost:
                continue  # somebody else has the job, or its end is known: only its handler goes on
            log.warning("job.abandoned", extra=self._setting.about(job_id=run.job.id, in_thread=run.in_thread))
            self._setting.emit("job.abandoned", job_id=run.job.id)
            run.lost = True  # nobody reports it any more, even if it ends this moment
            if run.trace is not None:
                run.trace.note("job abandoned")
        waiting = [run.task for run in runs if run.in_thread and run.task]
        for task in waiting:
            task.cancel()  # ends the wait for the thread, not the thread
        if waiting:
            await asyncio.wait(waiting)
