"""The groups of a queue: who waits in them, and what they may do. `Queue` is one.

Jobs that say a `group` wait in it, and workers serve the groups in turn, one job of each.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from carequeue.errors import InvalidOption
from carequeue.group import check_group_id
from carequeue.inspect import PAGE
from carequeue.limits import MILLISECOND, Limits
from carequeue.options import ZERO, RateLimit
from carequeue.store.grouping import ALL_GROUPS, Grouping
from carequeue.wire.times import span_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import timedelta

    from carequeue.job import Job
    from carequeue.store.grouping import GroupNow


class GroupStatus(StrEnum):
    """Whether the waiting jobs of a group may start."""

    READY = "ready"
    """When it is the group's turn."""
    PAUSED = "paused"
    """Not before `resume_group`."""
    MAXED = "maxed"
    """When one of its active jobs has ended: there are as many as its concurrency allows."""
    LIMITED = "limited"
    """When the window of its rate limit has ended."""


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """A group as it was when it was read."""

    id: str
    waiting: int
    active: int
    status: GroupStatus
    limited_for: timedelta
    """How long its rate limit still lets nothing start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings:
    """What a group may do; None: as much as there is."""

    concurrency: int | None = None
    """How many of its jobs are active at once, in all workers together."""
    rate_limit: RateLimit | None = None
    """How many of its jobs start in a time, in all workers together."""
    max_size: int | None = None
    """How many jobs wait in it: adding more raises GroupFull."""

    def __post_init__(self) -> None:
        if self.concurrency is not None and self.concurrency < 1:
            raise InvalidOption(f"a group's concurrency is at least 1, got {self.concurrency}; see pause_group()")
        if self.max_size is not None and self.max_size < 1:
            raise InvalidOption(f"a group's max_size is at least 1, got {self.max_size}")


class Groups(Limits):
    """Groups are there as soon as a job says one; settings may be made before, and stay. Setting may be repeated."""

    # Looking

    async def groups(self, page: int = 100) -> AsyncIterator[GroupInfo]:
        """Every group with waiting or active jobs, in no order, read page by page.

        A group that gets its first job, or loses its last one, meanwhile may be missed.
        """
        seen: set[str] = set()
        cursor: str | None = None
        while cursor != "":
            cursor, found = await self._grouping.page(cursor or "", page)
            for group in found:
                if group.id not in seen:
                    seen.add(group.id)
                    yield _info(group)

    async def get_group(self, group_id: str) -> GroupInfo:
        """One group; a group that nobody knows is ready and has no jobs."""
        group, _, _ = await self._grouping.get(group_id)
        return _info(group)

    async def group_jobs(self, group_id: str, *, start: int = 0, end: int = -1) -> list[Job[Any]]:
        """The waiting jobs of a group on the places `start` to `end` (included; -1: the last), the next one first.

        Raises:
            InvalidOption: there is no such place.
        """
        if start < 0 or end < -1:
            raise InvalidOption(f"places count from 0, and only an end of -1 means the last, got {start} to {end}")
        found: list[Job[Any]] = []
        while end == -1 or start <= end:
            wanted = PAGE if end == -1 else min(PAGE, end - start + 1)
            places, jobs = await self._grouping.jobs(group_id, start, wanted)
            found += [self._job(job_id, fields) for job_id, fields in jobs]
            start += wanted
            if places <= start:
                break
        return found

    async def group_settings(self, group_id: str) -> GroupSettings:
        """What holds for a group: its own settings, and where it has none those of all groups."""
        _, own, shared = await self._grouping.get(group_id)
        rate = own if "max" in own else shared
        return _settings({**shared, **own, "max": rate.get("max", 0), "duration": rate.get("duration", 0)})

    async def group_defaults(self) -> GroupSettings:
        """What holds for groups without settings of their own."""
        _, _, shared = await self._grouping.get(ALL_GROUPS)
        return _settings(shared)

    # What they may do

    async def set_group_defaults(
        self, *, concurrency: int | None = None, rate_limit: RateLimit | None = None, max_size: int | None = None
    ) -> None:
        """Let this hold for every group, those to come included, that has no setting of its own; None: no limit.

        It replaces what was set before as a whole. What is active goes on.

        Raises:
            InvalidOption: a number is less than one.
        """
        await self._set(ALL_GROUPS, GroupSettings(concurrency=concurrency, rate_limit=rate_limit, max_size=max_size))
        cursor: str | None = None
        while cursor != "0":
            cursor = await self._grouping.place(cursor or "0", PAGE)

    async def set_group_concurrency(self, group_id: str, concurrency: int | None) -> None:
        """Let at most so many jobs of a group be active at once; None: what all groups have.

        Raises:
            InvalidOption: fewer than one, or no such id can be.
        """
        GroupSettings(concurrency=concurrency)
        await self._change(group_id, concurrency=concurrency)

    async def set_group_rate_limit(self, group_id: str, limit: RateLimit | None) -> None:
        """Let at most `limit.max` jobs of a group start in each `limit.duration`; None: what all groups have.

        Raises:
            InvalidOption: no such id can be.
        """
        await self._change(group_id, **_window(limit))

    async def set_group_max_size(self, group_id: str, max_size: int | None) -> None:
        """Let at most so many jobs wait in a group; None: what all groups have. It only counts when jobs are added.

        Raises:
            InvalidOption: fewer than one, or no such id can be.
        """
        GroupSettings(max_size=max_size)
        await self._change(group_id, size=max_size)

    async def pause_group(self, group_id: str) -> None:
        """Let no worker take a job of this group; what is active goes on, and jobs may be added.

        Raises:
            InvalidOption: no such id can be.
        """
        await self._change(group_id, paused=1)

    async def resume_group(self, group_id: str) -> None:
        """Let workers take jobs of this group again."""
        await self._change(group_id, paused=None)

    async def rate_limit_group(self, group_id: str, for_: timedelta) -> None:
        """Let no job of a group start for so long. A handler raises `RateLimited(…, group=True)` instead.

        Raises:
            InvalidOption: not longer than nothing, or no such id can be.
        """
        if for_ <= ZERO:
            raise InvalidOption(f"a rate limit holds for longer than nothing, got {for_}")
        check_group_id(group_id)
        await self._grouping.limit(group_id, span_ms(for_))

    async def lift_group_rate_limit(self, group_id: str) -> bool:
        """Let its jobs start at once, whether its limit was reached or `rate_limit_group` said; False if neither holds.

        The setting stays: the next job opens a new window.
        """
        return await self._grouping.remove_limit(group_id)

    async def drain_group(self, group_id: str) -> int:
        """Remove every job that waits in a group and return how many. Delayed jobs and next runs of schedulers stay."""
        kept = removed = 0
        while True:
            looked, gone = await self._grouping.drain(group_id, time.time_ns() // 1_000_000, kept, PAGE)
            removed += gone
            kept += looked - gone
            if looked < PAGE:
                return removed

    async def _set(self, group_id: str, settings: GroupSettings) -> None:
        window = _window(settings.rate_limit)
        await self._grouping.change(group_id, concurrency=settings.concurrency, size=settings.max_size, **window)

    async def _change(self, group_id: str, **values: int | None) -> None:
        check_group_id(group_id)
        await self._grouping.change(group_id, **values)

    @property
    def _grouping(self) -> Grouping:
        return Grouping(self.client, self.keys)


def _info(group: GroupNow) -> GroupInfo:
    limited_for = group.limited_for * MILLISECOND
    return GroupInfo(group.id, group.waiting, group.active, GroupStatus(group.status), limited_for)


def _window(limit: RateLimit | None) -> dict[str, int | None]:
    if limit is None:
        return {"max": None, "duration": None}
    return {"max": limit.max, "duration": span_ms(limit.duration)}


def _settings(stored: Mapping[str, int]) -> GroupSettings:
    most, duration = stored.get("max", 0), stored.get("duration", 0)
    return GroupSettings(
        concurrency=stored.get("concurrency"),
        rate_limit=RateLimit(most, duration * MILLISECOND) if most > 0 and duration > 0 else None,
        max_size=stored.get("size"),
    )
