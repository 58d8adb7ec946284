"""Renews the locks of what a worker holds, all in one call, and says which ones are lost.

A lock is renewed when half its renewal time has passed, so short jobs never cost a renewal. Ended jobs keep theirs
until Redis has heard of their end: an outage must not hand a finished job to somebody else when it can be helped.

It runs in the event loop on purpose. A lock says that its worker is well: renewed from a thread, it would stay with a
worker whose loop hangs for ever, and nobody would rescue its jobs. So a handler that blocks the loop for longer than
`lock_duration` loses its lock; well before that the log says so.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from carequeue.store.commands import Commands
    from carequeue.worker.executor import Executor
    from carequeue.worker.setting import Setting
    from carequeue.worker.slots import Slots

log: logging.Logger = logging.getLogger("carequeue.worker")

Lock = tuple[str, str]
"""A job's id and the token of its lock."""


class LockKeeper:
    """The locks of one worker."""

    def __init__(self, setting: Setting, commands: Commands, executor: Executor, slots: Slots) -> None:
        self._setting = setting
        self._terms = setting.terms
        self._commands = commands
        self._executor = executor
        self._slots = slots

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            await self._wait()
            try:
                await self.renew()
            except Exception as error:  # noqa: BLE001 - it is reported, and the next round tries again
                await self._setting.outage.pause(error)

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._terms.lock_check
        await asyncio.sleep(self._terms.lock_check)
        late = loop.time() - due
        if late > self._terms.lock_check:
            log.warning("loop.blocked", extra=self._setting.about(seconds=round(late, 3)))
            self._setting.emit("loop.blocked", seconds=late)

    async def renew(self) -> None:
        """Renew what is due."""
        now = asyncio.get_running_loop().time()
        due = [run for run in self._executor.runs if not run.lost and run.locked_at <= now - self._terms.lock_check]
        reported = [(outcome.finish.job_id, outcome.finish.token) for outcome in self._slots.unanswered]
        locks: list[Lock] = [run.lock for run in due]
        if not (locks or reported):
            return
        lost = set(await self._commands.extend_locks([*locks, *reported], self._terms.lock_ms))
        self._setting.outage.answered()
        for run in due:
            run.locked_at = now
        self._executor.lose(lock for lock in locks if lock[0] in lost)
        self._setting.emit("locks.renewed", count=len(locks) + len(reported) - len(lost))
        self._tell("locks_renewed", [job_id for job_id, _ in (*locks, *reported) if job_id not in lost])
        self._tell("lock_renewal_failed", [job_id for job_id, _ in (*locks, *reported) if job_id in lost])

    def _tell(self, hook: Literal["locks_renewed", "lock_renewal_failed"], job_ids: list[str]) -> None:
        if job_ids:
            self._setting.hooks.call(hook, job_ids)
