"""Finds schedulers that wait for a run which is not there, and gives them one; ends those that have no run left.

A scheduler lives only in its next run: the worker that takes it makes the one after it. When a run is lost (removed by
hand, or with its keys) no worker would ever go on. Workers look once an interval (`worker/housekeeper.py`), and
`Queue.audit_schedulers` does when asked. Two audits at once, and one beside a worker, are safe: a run has the id of its
instant, and the scripts look again before they write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from carequeue.errors import ConnectionLost, SchedulerBusy
from carequeue.scheduler import TRIES
from carequeue.store.scheduling import ADOPTED, CHANGED, COLLISION
from carequeue.timetable import Timetable
from carequeue.wire.schedule import decode_repeat, decode_template, iterations, make_run, recover_scheduler
from carequeue.wire.times import from_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from carequeue.store.scheduling import BrokenScheduler, Page, Scheduling
    from carequeue.timetable import RepeatStrategy

PAGE = 200
"""Schedulers that one call looks at."""


@dataclass(frozen=True, slots=True)
class SchedulerRepair:
    """What an audit found about one scheduler, and did."""

    scheduler_id: str
    outcome: Literal["repaired", "ended", "stuck"]
    """`repaired`: it has a run again. `ended`: it had none left and was removed. `stuck`: see `problem`."""
    next_run: datetime | None = None
    """When its next run is due; in the past if it was missed: then it runs now."""
    problem: Exception | None = None
    """Why it could not be repaired: its pattern, or the repeat strategy. It is left as it is."""


@dataclass(slots=True)
class Cursor:
    """How far a walk through the schedulers has come: behind so many of those that are due then."""

    due: int | None = None
    skip: int = 0

    def move(self, page: Page) -> None:
        """Go on behind the page that was looked at."""
        self.skip = page.together + (self.skip if page.last_due == self.due else 0)
        self.due = page.last_due

    def lost(self, due: int) -> None:
        """One of those that were looked at is due at another time now."""
        if due == self.due:
            self.skip -= 1


class Audit:
    """Audits of the schedulers of one queue."""

    def __init__(self, store: Scheduling, strategy: RepeatStrategy | None = None) -> None:
        self._store = store
        self._strategy = strategy

    async def walk(
        self, now: int, cursor: Cursor, *, until: int | None = None, pages: int | None = None
    ) -> AsyncIterator[SchedulerRepair]:
        """Look at those from the cursor on that are due up to `until`, at the most so many pages.

        At the end of the walk the cursor is at the start again.
        """
        while pages is None or pages > 0:
            page = await self._store.audit(cursor.due, until, cursor.skip, PAGE)
            cursor.move(page)
            for broken in page.broken:
                repair = await self._repair(broken, now)
                if repair is not None and repair.next_run != from_ms(broken.due) and repair.problem is None:
                    cursor.lost(broken.due)
                if repair is not None:
                    yield repair
            if page.last_due is None:
                return
            pages = None if pages is None else pages - 1

    async def _repair(self, broken: BrokenScheduler, now: int) -> SchedulerRepair | None:
        """None: it was in order by the time it was looked at again."""
        try:
            if broken.state == "forgotten":
                return await self._remember(broken)
            return await self._go_on(broken, now)
        except ConnectionLost:
            raise
        except Exception as problem:  # noqa: BLE001 - a strategy may raise anything; one scheduler must not stop an audit
            return SchedulerRepair(broken.id, "stuck", problem=problem)

    async def _remember(self, broken: BrokenScheduler) -> SchedulerRepair | None:
        """Its hash is gone, but the run has all that was in it."""
        fields = recover_scheduler(broken.run)
        if fields is None or await self._store.restore(broken, fields) == CHANGED:
            return None
        return SchedulerRepair(broken.id, "repaired", from_ms(broken.due))

    async def _go_on(self, broken: BrokenScheduler, now: int) -> SchedulerRepair | None:
        repeat = decode_repeat(broken.fields, custom=self._strategy is not None)
        timetable = Timetable(broken.id, repeat, self._strategy)
        template, made = decode_template(broken.fields), iterations(broken.fields)
        following = await timetable.next(after=from_ms(broken.due), previous=from_ms(broken.due))
        over = following is None or (repeat.limit is not None and made >= repeat.limit)
        due: datetime | None = from_ms(broken.due)
        if broken.state == "ended":
            due, made = None if over else following, made + 1
        elif broken.due <= now and (over or (repeat.end is not None and to_ms(repeat.end) < now)):
            # BullMQ leaves one that has ended in the listing, and its last run may have been removed when it completed
            due = None
        tried = 0
        async for slot in timetable.slots(due, TRIES):
            tried += 1
            run = make_run(broken.id, repeat, template, due=to_ms(slot), now=now, count=made)
            code = await self._store.mend(broken, run)
            if code in (0, ADOPTED):
                return SchedulerRepair(broken.id, "repaired", slot)
            if code != COLLISION:
                return None
        if tried == TRIES:
            raise SchedulerBusy
        return SchedulerRepair(broken.id, "ended") if await self._store.mend(broken, None) == 0 else None
