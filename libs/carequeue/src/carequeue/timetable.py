"""Timetable: when one scheduler runs, its owner's own strategy and what it does about missed runs included.

No I/O but the strategy's. `scheduler.py` asks it for slots and writes them.
"""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from carequeue.errors import InvalidOption
from carequeue.misfire import CatchUp, SkipLate
from carequeue.repeat import TICK, check_aware, next_run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from carequeue.repeat import Repeat

CLOSE: timedelta = timedelta(milliseconds=1)


class RepeatStrategy(Protocol):
    """A function of yours, `strategy(after, repeat, scheduler_id)`, plain or a coroutine function: it answers the next
    run of a scheduler with a pattern, an aware datetime later than `after`, or None when there is none any more. Call
    `next_run(repeat, after=after, seed=scheduler_id)` where the pattern is cron and cron is right.
    """

    def __call__(
        self, after: datetime, repeat: Repeat, scheduler_id: str, /
    ) -> datetime | Awaitable[datetime | None] | None:
        """The next run."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """What becomes of a run that is taken: whether it came too late to run, and when the next one is due, if any."""

    skipped: bool
    following: datetime | None


@dataclass(frozen=True, slots=True)
class Timetable:
    """The runs of one scheduler. A `strategy` decides about every pattern, also one that is cron."""

    scheduler_id: str
    repeat: Repeat
    strategy: RepeatStrategy | None = None

    async def next(self, *, after: datetime, previous: datetime | None = None) -> datetime | None:
        """The next run as `next_run` defines it, or as the strategy says.

        Raises:
            InvalidOption: the pattern is no cron and there is no strategy, or the strategy did not keep its word.
        """
        repeat = self.repeat
        at_once = repeat.immediately and previous is None
        if self.strategy is None or repeat.interval is not None or at_once:
            return next_run(repeat, after=after, previous=previous, seed=self.scheduler_id)
        floor = after if previous is None else max(after, previous)
        if repeat.start is not None:
            floor = max(floor, repeat.start - TICK)
        run = self.strategy(floor.astimezone(UTC), repeat, self.scheduler_id)
        if inspect.isawaitable(run):
            run = await run
        if run is None:
            return None
        _check_strategy(run, floor, repeat)
        return None if repeat.end is not None and run > repeat.end else run.astimezone(UTC)

    async def slots(self, first: datetime | None, most: int) -> AsyncIterator[datetime]:
        """`first` and the runs after it, `most` of them at the most."""
        run = first
        for _ in range(most):
            if run is None:
                return
            yield run
            run = await self.next(after=run, previous=run)

    async def take(self, due: datetime, now: datetime) -> Turn:
        """What becomes of the run meant for `due` that is taken now; the answer is the misfire policy's."""
        match self.repeat.misfire:
            case SkipLate(limit) if now - due > limit:
                return Turn(skipped=True, following=await self.next(after=now - limit - TICK, previous=due))
            case CatchUp(most):
                first = await self.next(after=due, previous=due)
                newest = None if first is None or first > now else await self._newest(due, now, most)
                return Turn(newest is not None, first if newest is None else newest)
            case _:
                return Turn(skipped=False, following=await self.next(after=now, previous=due))

    async def _newest(self, due: datetime, now: datetime, most: int) -> datetime | None:
        """The first of the newest `most` runs after `due` and up to now; None if there are not so many."""
        if self.repeat.interval is not None:
            missed = (now - due) // self.repeat.interval
            return None if missed < most else due + (missed - most + 1) * self.repeat.interval
        low, high = due, now
        runs = await self._missed(low, now, most + 1)
        if len(runs) < most:
            return None
        while len(runs) > most and high - low > CLOSE:
            await asyncio.sleep(0)  # a second's pattern after a week: let others have the loop in between
            middle = low + (high - low) / 2
            between = await self._missed(middle, now, most + 1)
            if len(between) < most:
                high = middle
            else:
                low, runs = middle, between
        return runs[0]

    async def _missed(self, after: datetime, now: datetime, most: int) -> list[datetime]:
        first = await self.next(after=after, previous=after)
        return [run async for run in self.slots(first, most) if run <= now]


def _check_strategy(run: object, floor: datetime, repeat: Repeat) -> None:
    if not isinstance(run, datetime):
        raise InvalidOption(f"a repeat strategy answers a datetime or None, got {type(run).__name__}")
    check_aware("what a repeat strategy answers", run)
    if run <= floor:
        raise InvalidOption(
            f"the repeat strategy answered {run.isoformat()} for {repeat.pattern!r}: not later than {floor.isoformat()}"
        )
