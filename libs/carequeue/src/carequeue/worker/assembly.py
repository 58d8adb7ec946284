"""A started worker: its parts put together, and a task for each loop among them."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from carequeue.audit import Audit
from carequeue.ending import end
from carequeue.scheduler import advance
from carequeue.store.commands import Commands, MarkerQueue
from carequeue.store.housekeeping import Housekeeping
from carequeue.store.scheduling import Scheduling
from carequeue.worker.bell import Bell
from carequeue.worker.executor import Executor
from carequeue.worker.fetcher import FLIGHTS, Fetcher
from carequeue.worker.housekeeper import Housekeeper
from carequeue.worker.lock_keeper import LockKeeper
from carequeue.worker.processes import Processes
from carequeue.worker.reporter import Reporter
from carequeue.worker.shutdown import Shutdown
from carequeue.worker.stall_checker import StallChecker
from carequeue.worker.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from carequeue.store.client import LinkedRedis
    from carequeue.wire.keys import QueueKeys
    from carequeue.worker.handlers import Handlers
    from carequeue.worker.outcome import Rules
    from carequeue.worker.setting import Setting
    from carequeue.worker.slots import Slots
    from carequeue.worker_options import WorkerOptions


log: logging.Logger = logging.getLogger("carequeue.worker")


class Assembly:
    """The parts of one worker. `crashed` hears of a loop that ended by itself, which none should."""

    def __init__(
        self, setting: Setting, slots: Slots, *, keys: QueueKeys, client: LinkedRedis, blocking: LinkedRedis
    ) -> None:
        self._setting = setting
        self._slots = slots
        self._commands = Commands(client, keys)
        self._scheduling = Scheduling(client, keys)
        self._housekeeping = Housekeeping(client, keys)
        self._bell = Bell(setting, MarkerQueue(blocking, keys), slots)
        self._threads = Threads(f"carequeue-{setting.terms.queue}")
        self._processes = Processes(setting)
        self._loops: list[asyncio.Task[None]] = []
        self._listening: asyncio.Task[None] | None = None
        self.executor: Executor | None = None

    def start(
        self, options: WorkerOptions, handlers: Handlers, rules: Rules, crashed: Callable[[BaseException], None]
    ) -> Shutdown:
        """Start the loops; what comes back ends the worker."""
        setting, slots, commands = self._setting, self._slots, self._commands
        advancing = partial(advance, self._scheduling, strategy=options.repeat_strategy)
        executor = self.executor = Executor(
            setting, commands, slots, handlers, rules, self._threads, self._processes, advancing
        )
        fetcher = Fetcher(setting, commands, slots, self._bell, Reporter(setting), executor.start)
        if not options.skip_stalled_check:
            self._loop(StallChecker(setting, commands, executor).run(), "stalled", crashed)
            audit = Audit(self._scheduling, options.repeat_strategy)
            self._loop(Housekeeper(setting, self._housekeeping, audit, rules).run(), "chores", crashed)
        if not options.skip_lock_renewal:
            self._loop(LockKeeper(setting, commands, executor, slots).run(), "locks", crashed)
        for _ in range(FLIGHTS):
            self._loop(fetcher.fly(), "fetch", crashed)
        self._listening = self._loop(self._bell.listen(), "markers", crashed)
        return Shutdown(setting, slots, executor)

    async def empty(self) -> None:
        """Return when nothing runs or may come by a call under way, and Redis knows of every end."""
        ran = self.executor.empty if self.executor is not None else asyncio.Event()
        while not (ran.is_set() and self._slots.flushed.is_set()):
            await ran.wait()
            await self._slots.flushed.wait()

    async def stop_listening(self) -> None:
        """Before the last call to Redis, which gives back a wake-up that was taken in the meantime."""
        if self._listening is not None:
            await end([self._listening])

    async def stop(self) -> None:
        await end(self._loops)
        self._bell.silence()
        self._threads.close()
        await self._processes.close()
        if self._setting.traces is not None:
            self._setting.traces.close()

    def _loop(
        self, loop: Coroutine[Any, Any, None], name: str, crashed: Callable[[BaseException], None]
    ) -> asyncio.Task[None]:
        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()):
                log.critical("worker.crashed", exc_info=error, extra=self._setting.about())
                crashed(error)

        task = asyncio.create_task(loop, name=f"carequeue:{self._setting.terms.queue}:{name}")
        task.add_done_callback(ended)
        self._loops.append(task)
        return task
