"""One typed method for each script that an administrator's wish needs: pause, remove, retry, clean …"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from carequeue.errors import QueueNotPaused
from carequeue.store.connection import redis_errors
from carequeue.store.script import Scripts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AT_ONCE = 1000
"""Jobs that one call handles; more would keep other clients waiting."""
FOREVER = "+inf"

WireState = Literal[
    "wait", "paused", "active", "prioritized", "delayed", "completed", "failed", "waiting-children",
    "groups:waiting",
]  # fmt: skip
"""The states by the names of their keys."""


class Administration(Scripts):
    """Changes jobs and the queue from outside. A job's error is raised as wire/codes.py says."""

    async def pause(self) -> None:
        await self._run("pause")

    async def resume(self) -> None:
        await self._run("resume")

    async def remove(self, job_id: str, now: int, *, children: bool) -> None:
        """Raises JobNotFound, SchedulerOwnsJob or JobLocked."""
        await self._on_job("removeJob", job_id, now, job_id, "1" if children else "")

    async def retry(self, job_id: str, now: int, *, reset_attempts: bool) -> None:
        """Raises JobNotFound or WrongState."""
        await self._on_job("retryJob", job_id, now, job_id, "1" if reset_attempts else "")

    async def retry_all(self, state: Literal["failed", "completed"], now: int, *, until: int | None, limit: int) -> int:
        return cast("int", await self._run("retryJobs", now, state, FOREVER if until is None else until, limit))

    async def promote(self, job_id: str) -> None:
        """Raises JobNotFound or WrongState."""
        await self._on_job("promoteJob", job_id, job_id)

    async def promote_all(self, limit: int) -> int:
        return cast("int", await self._run("promoteJobs", limit))

    async def change_priority(self, job_id: str, priority: int, *, at_front: bool) -> None:
        """Raises JobNotFound."""
        await self._on_job("changePriority", job_id, job_id, priority, "1" if at_front else "")

    async def change_delay(self, job_id: str, now: int, delay: int) -> None:
        """Raises JobNotFound or WrongState."""
        await self._on_job("changeDelay", job_id, now, job_id, delay)

    async def update_data(self, job_id: str, data: str) -> None:
        """Raises JobNotFound."""
        await self._on_job("updateData", job_id, job_id, data, "")

    async def trim_events(self, most: int) -> int:
        with redis_errors(self.client):
            return cast("int", await self._execute("XTRIM", self.keys.events, "MAXLEN", "=", most))

    async def publish(self, fields: Mapping[str, str], most: int | None) -> str:
        flat = [part for pair in fields.items() for part in pair]
        return cast("str", await self._run("publishEvent", "" if most is None else most, *flat))

    async def close_window(self, deduplication_id: str, owner: str | None) -> bool:
        return await self._run("closeWindow", deduplication_id, owner or "") == 1

    async def trim_log(self, job_id: str, keep: int) -> None:
        command = ("LTRIM", self.keys.logs(job_id), -keep, -1) if keep else ("DEL", self.keys.logs(job_id))
        with redis_errors(self.client):
            await self._execute(*command)

    async def drain(self, now: int, state: WireState, count: int) -> tuple[int, int]:
        """Look at `count` jobs of a state that waits: how many went, and how many of these stay."""
        removed, stay = cast("list[int]", await self._run("drain", now, state, count))
        return removed, stay

    async def remove_orphans(self, job_ids: Sequence[str], now: int, limit: int) -> int:
        return cast("int", await self._run("removeOrphans", now, limit, *job_ids)) if job_ids else 0

    async def remove_priority_key(self) -> bool:
        with redis_errors(self.client):
            return await self._execute("DEL", f"{self.keys.base}:priority") == 1

    async def clean(self, now: int, state: WireState, until: int, count: int, first: int) -> tuple[list[str], int]:
        """Look at `count` jobs behind the `first` ones: the ids of those that went, and how many were looked at."""
        removed, looked = await self._run("clean", now, state, until, count, first)
        return removed, looked

    async def obliterate(self, now: int, *, force: bool, at_most: int = AT_ONCE) -> bool:
        """Delete some jobs, `at_most` so many; True if there is more to do.

        Raises:
            QueueNotPaused: it is not, or jobs are active and `force` was not said.
        """
        reply = cast("int", await self._run("obliterate", now, at_most, "1" if force else ""))
        if reply == -2:
            raise QueueNotPaused("jobs are active: let them end, or say force=True")
        if reply < 0:
            raise QueueNotPaused
        return reply == 1
