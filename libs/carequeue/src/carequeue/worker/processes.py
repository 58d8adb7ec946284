"""The child processes of a worker: started when they are needed, reused, replaced when one died or was interrupted."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any

from carequeue.errors import ProcessDied
from carequeue.worker.child_process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from carequeue.worker.context import JobContext
    from carequeue.worker.messages import Order
    from carequeue.worker.setting import Setting

log: logging.Logger = logging.getLogger("carequeue.worker")


class Processes:
    """At most as many as the worker's options say. A job that finds all of them busy waits here, under its lock."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._grace = setting.terms.cancel_grace
        self._most_jobs = setting.terms.jobs_per_process
        self._free = asyncio.Semaphore(setting.terms.processes or usable_cpus())
        self._idle: list[ChildProcess] = []
        self._ending: set[asyncio.Task[None]] = set()

    async def run(self, order: Order, context: JobContext, began: Callable[[], None]) -> Any:
        """Run a handler in one of them, and return what it returned; raises as `ChildProcess.perform`."""
        async with self._free:
            while True:
                child = await self._take()
                try:
                    return await child.perform(order, context, began, self._grace)
                except ProcessDied as error:
                    log.warning("process.died", extra=self._setting.about(job_id=order.job_id, error=str(error)))
                    if child.began or child.jobs == 1:
                        raise  # else an idle one was just dying, and this job is none of the reasons
                finally:
                    self._put_back(child)

    async def close(self) -> None:
        """End those that are idle, and wait for those that are ending."""
        for child in self._idle:
            self._end(child)
        self._idle = []
        if self._ending:
            await asyncio.wait(self._ending)

    async def _take(self) -> ChildProcess:
        while self._idle:
            child = self._idle.pop()  # the latest: what it has imported and computed is still warm
            if child.is_reusable:
                return child
            self._end(child)
        return await ChildProcess.start()

    def _put_back(self, child: ChildProcess) -> None:
        if child.is_reusable and (self._most_jobs is None or child.jobs < self._most_jobs):
            self._idle.append(child)
        else:
            self._end(child)

    def _end(self, child: ChildProcess) -> None:
        task = asyncio.create_task(child.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def usable_cpus() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
