"""Failed jobs that failed alike, all at once: `Queue` is one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from carequeue.error_groups import fingerprint_of_failure, pages
from carequeue.errors import JobLocked, JobNotFound, WrongState
from carequeue.limits import Limits
from carequeue.store.administration import Administration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Failures(Limits):
    """What can be done with a group that `error_groups` told of. Each job is changed by itself.

    Jobs that fail while that is under way, these ones again included, are left alone.
    """

    async def retry_error_group(
        self, fingerprint: str, *, limit: int | None = None, reset_attempts: bool = False
    ) -> int:
        """Run the failed jobs of a group again, the newest first, at most `limit` of them; returns how many."""
        retried = 0
        async for job_id in self._group(fingerprint):
            if retried == limit:
                break
            try:
                await self._changes.retry(job_id, _now(), reset_attempts=reset_attempts)
            except (JobNotFound, WrongState):
                continue  # somebody else was quicker
            retried += 1
        return retried

    async def remove_error_group(self, fingerprint: str, *, limit: int | None = None) -> int:
        """Remove the failed jobs of a group, the newest first, at most `limit` of them; returns how many.

        A parent that waits for one waits for it no longer.
        """
        removed = 0
        async for job_id in self._group(fingerprint):
            if removed == limit:
                break
            try:
                await self._changes.remove(job_id, _now(), children=True)
            except (JobNotFound, JobLocked):
                continue
            removed += 1
        return removed

    async def _group(self, fingerprint: str) -> AsyncIterator[str]:
        async for _, page in pages(self._reading):
            for failure in page:
                if fingerprint_of_failure(failure).id == fingerprint:
                    yield failure.job_id

    @property
    def _changes(self) -> Administration:
        return Administration(self.client, self.keys)


def _now() -> int:
    return time.time_ns() // 1_000_000
